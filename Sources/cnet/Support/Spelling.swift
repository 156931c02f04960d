/// Spellings of Docker's that the parser does not know, put as it knows them.
enum Spelling {
  private static let globals: Set<String> = ["--state-dir", "--host-namespace", "--name-server", "--color"]
  private static let switches: Set<String> = ["--ipv4", "--ipv6"]
  private static let flags: Set<String> = ["--internal", "--force", "--quiet", "--no-trunc", "--json", "--follow"]

  /// - Parameter arguments: Without the program's name.
  static func ours(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    // Global options before the verb go behind it, where the verb reads them.
    var leading: [String] = []
    while let first = rest.first, let name = first.split(separator: "=").first, globals.contains(String(name)) {
      let count = first.contains("=") ? 1 : 2
      leading += rest.prefix(count)
      rest = rest.dropFirst(count)
    }
    var verb: [String] = []
    if let first = rest.first, !first.hasPrefix("-"), first != "help" {
      let isGroup = first == "network" && rest.count > 1 && rest[rest.startIndex + 1].first != "-"
      verb = Array(rest.prefix(isGroup ? 2 : 1))
      rest = rest.dropFirst(verb.count)
    }
    guard verb.first == "network" else { return verb + (verb.isEmpty ? [] : leading) + rest }
    return verb + leading + rest.flatMap(flag)
  }

  /// `--internal=true`, `--ipv4=false`.
  private static func flag(_ argument: String) -> [String] {
    let halves = argument.split(separator: "=", maxSplits: 1).map(String.init)
    guard halves.count == 2, let value = ["true": true, "1": true, "false": false, "0": false][halves[1]] else {
      return [argument]
    }
    if switches.contains(halves[0]) { return [value ? halves[0] : "--no-" + halves[0].dropFirst(2)] }
    if flags.contains(halves[0]) { return value ? [halves[0]] : [] }
    return [argument]
  }
}
