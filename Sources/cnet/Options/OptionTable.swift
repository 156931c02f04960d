import ContainerNetworking

/// The options of a verb in Docker's form, with the facts needed before parsing: which of the joined letters of
/// `-dp 8080:80` takes a value, the meaning of `--rm=false`, and which options are refused, with the reason.
struct OptionTable {
  private struct Option {
    var name: String
    var letter: Character?
    var takesValue: Bool
    var refusal: String?
  }

  private var options: [Option] = []
  /// Whether the first word that is not an option begins another program's command line.
  private let endsAtWord: Bool

  /// - Parameters:
  ///   - names: As in `-p/--publish= --rm`; those with `=` take a value.
  ///   - endsAtWord: Whether the first word that is not an option begins another program's command line.
  init(_ names: String, endsAtWord: Bool = false) {
    self.endsAtWord = endsAtWord
    add(names + " " + Self.global, refusal: nil)
  }

  private static let global = "--state-dir= --host-namespace= --name-server= --color= --help"

  /// Adds options that are refused.
  func refusing(_ names: String, since reason: String) -> OptionTable {
    var table = self
    table.add(names, refusal: reason)
    return table
  }

  private mutating func add(_ names: String, refusal: String?) {
    for word in names.split(separator: " ") {
      let takesValue = word.last == "="
      let spellings = (takesValue ? word.dropLast() : word).split(separator: "/").map(String.init)
      let letter = spellings.first { !$0.hasPrefix("--") }?.last
      options.append(
        Option(name: spellings.last ?? "", letter: letter, takesValue: takesValue, refusal: refusal))
    }
  }

  /// The words in the parser's form.
  ///
  /// - Throws: `.unsupported` for a refused option; `.invalidValue` for an invalid truth value.
  func spelled(_ words: ArraySlice<String>, verb: String) throws(NetworkError) -> [String] {
    var (result, rest): ([String], ArraySlice<String>) = ([], words)
    while let word = rest.popFirst() {
      if word == "--" { return result + [word] + rest }
      guard word.hasPrefix("-"), word != "-" else {
        if endsAtWord { return result + [word] + rest }
        result.append(word)
        continue
      }
      if word.hasPrefix("--") {
        result += try long(word, &rest, verb)
      } else {
        result += try short(word, &rest, verb)
      }
    }
    return result
  }

  private func long(
    _ word: String, _ rest: inout ArraySlice<String>, _ verb: String
  ) throws(NetworkError) -> [String] {
    let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let option = options.first(where: { $0.name == halves[0] }) else { return [word] }
    try check(option, verb)
    if option.takesValue { return halves.count == 2 ? [word] : [word] + (rest.popFirst().map { [$0] } ?? []) }
    guard halves.count == 2 else { return [word] }
    switch halves[1] {
    case "true", "1": return [halves[0]]
    case "false", "0": return Self.switches.contains(halves[0]) ? ["--no-" + halves[0].dropFirst(2)] : []
    default:
      throw NetworkError(
        .invalidValue, operation: "read option \"\(word)\" of cnet \(verb)",
        reason: "\"\(halves[1])\" is neither true nor false; write one of them")
    }
  }

  /// Options that are on by default.
  private static let switches: Set<String> = ["--ipv4", "--ipv6"]

  private func short(
    _ word: String, _ rest: inout ArraySlice<String>, _ verb: String
  ) throws(NetworkError) -> [String] {
    var (result, letters): ([String], Substring) = ([], word.dropFirst())
    while let letter = letters.popFirst() {
      guard let option = options.first(where: { $0.letter == letter }) else { return result + ["-\(letter)\(letters)"] }
      try check(option, verb)
      result.append("-\(letter)")
      guard option.takesValue else { continue }
      if letters.isEmpty { return result + (rest.popFirst().map { [$0] } ?? []) }
      return result + [String(letters.first == "=" ? letters.dropFirst() : letters)]
    }
    return result
  }

  private func check(_ option: Option, _ verb: String) throws(NetworkError) {
    guard let reason = option.refusal else { return }
    throw NetworkError(.unsupported, operation: "read option \(option.name) of cnet \(verb)", reason: reason)
  }
}
