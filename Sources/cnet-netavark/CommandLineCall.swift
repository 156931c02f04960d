import ContainerNetworking

/// What podman says by the command line: netavark's, in the forms of 1.4 and 1.17.
struct CommandLineCall: Equatable {
  enum Verb: String, CaseIterable {
    case setup
    case teardown
    case update
    case reload
    case firewalldReload = "firewalld-reload"
    case nftablesReload = "nftables-reload"
    case version
    case help
  }

  var verb: Verb
  /// What is read in place of standard input.
  var file: String?
  /// Where podman keeps what a start of the machine ends.
  var configDirectory: String?
  var isRootless = false
  /// Of setup and teardown.
  var namespace = ""
  /// Of update.
  var network = ""
  /// Of update.
  var dnsServers: [String] = []

  private static let operation = "read the command line"

  /// Reads the arguments after the program's name.
  ///
  /// - Throws: `.invalidValue`; `.unsupported` for a way to filter packets that is not ours.
  init(_ arguments: [String]) throws(NetworkError) {
    var reader = Reader(arguments)
    var words: [String] = []
    verb = .help
    var wantsVersion = false
    while let argument = reader.next() {
      switch argument {
      case "-f", "--file": file = try reader.value(of: argument)
      case "-c", "--config": configDirectory = try reader.value(of: argument)
      case "-r", "--rootless": isRootless = try Self.flag(argument, reader.value(of: argument))
      case "-a", "--aardvark-binary", "-p", "--plugin-directory": _ = try reader.value(of: argument)
      case "--firewall-driver": try Self.checkFirewall(reader.value(of: argument), argument)
      case "-n", "--network-dns-servers":
        dnsServers += try reader.value(of: argument).split(separator: ",").map(String.init)
      case "-h", "--help": return
      case "-V", "--version": wantsVersion = true
      default:
        guard !argument.hasPrefix("-") || argument == "-" else {
          throw Self.invalid(
            "the option \(argument) is none of --file, --config, --rootless, --aardvark-binary, --plugin-directory, "
              + "--firewall-driver, --network-dns-servers, --help and --version")
        }
        words.append(argument)
      }
    }
    if wantsVersion, words.isEmpty { words = [Verb.version.rawValue, "--version"] }
    guard let first = words.first else { throw Self.invalid("the verb is missing; \(Self.verbs)") }
    guard let verb = Verb(rawValue: first) else { throw Self.invalid("\"\(first)\" is not a verb; \(Self.verbs)") }
    self.verb = verb
    let rest = words.dropFirst()
    switch verb {
    case .setup, .teardown: namespace = try Self.only(rest, of: verb, "the path of the container's network namespace")
    case .update: network = try Self.only(rest, of: verb, "the name of a network")
    case .version: self.namespace = rest.first ?? ""
    case .reload, .firewalldReload, .nftablesReload, .help:
      guard rest.isEmpty else { throw Self.invalid("\(verb.rawValue) takes nothing, but was given \"\(rest[1])\"") }
    }
  }

  private static var verbs: String { "there are: \(Verb.allCases.map(\.rawValue).joined(separator: ", "))" }

  private static func invalid(_ reason: String) -> NetworkError {
    NetworkError(.invalidValue, operation: operation, reason: reason)
  }

  private static func only(_ words: ArraySlice<String>, of verb: Verb, _ what: String) throws(NetworkError) -> String {
    guard words.count == 1, let word = words.first, !word.isEmpty else {
      throw invalid("\(verb.rawValue) takes \(what), but was given \(words.isEmpty ? "nothing" : "\(Array(words))")")
    }
    return word
  }

  private static func flag(_ name: String, _ text: String) throws(NetworkError) -> Bool {
    switch text {
    case "true": return true
    case "false": return false
    default: throw invalid("\(name) is \"\(text)\"; it is true or false")
    }
  }

  /// Rules are always nftables', whatever way to them podman is configured for; none at all would publish nothing.
  static func checkFirewall(_ driver: String, _ name: String) throws(NetworkError) {
    switch driver {
    case "", "nftables", "iptables", "firewalld": return
    case "none":
      throw NetworkError(
        .unsupported, operation: operation,
        reason: "\(name) is \"none\", but networks of the record need rules; write nftables, or leave it out")
    default:
      throw invalid(
        "\(name) is \"\(driver)\"; it is nftables, iptables or firewalld, and nftables does the work of each")
    }
  }

  /// Words one after the other; `--name=value` is two.
  private struct Reader {
    private var rest: ArraySlice<String>
    private var attached: String?

    init(_ arguments: [String]) { rest = arguments[...] }

    mutating func next() -> String? {
      guard let word = rest.popFirst() else { return nil }
      guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else { return word }
      attached = String(word[word.index(after: equals)...])
      return String(word[..<equals])
    }

    mutating func value(of name: String) throws(NetworkError) -> String {
      if let attached {
        self.attached = nil
        return attached
      }
      guard let word = rest.popFirst() else {
        throw CommandLineCall.invalid("\(name) is the last word; a value follows it")
      }
      return word
    }
  }
}
