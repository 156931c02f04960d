public import NetworkPrimitives

/// The network mode of a container: one of Docker's five.
public enum NetworkMode: Hashable, Sendable {
  /// The default network: a bridge that is also the gateway, NAT to the outside, published ports.
  case bridge
  /// The host's own namespace.
  case host
  /// A namespace of its own with only `lo`, for manual configuration.
  case none
  /// The namespace of another container, by name or id.
  case container(String)
  /// A network created by `createNetwork`, by name, id or unique id prefix.
  case network(String)

  /// Reads a mode as `docker run --net` takes it: `bridge`, `host`, `none`, `container:ID`, or a network's name.
  ///
  /// - Throws: `.invalidValue` for an empty text, `container:` without a container, and an invalid name.
  public init(_ text: String) throws(NetworkError) {
    switch text {
    case "bridge", "default": self = .bridge
    case "host": self = .host
    case "none": self = .none
    default:
      if text.hasPrefix("container:") {
        let donor = String(text.dropFirst("container:".count))
        try Name.check(donor, what: "container", operation: "read network mode \"\(text)\"")
        self = .container(donor)
      } else {
        try Name.check(text, what: "network", operation: "read network mode \"\(text)\"")
        self = .network(text)
      }
    }
  }
}

extension NetworkMode: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try NetworkMode(try decoder.singleValueContainer().decode(String.self))
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension NetworkMode: CustomStringConvertible {
  /// The text that ``init(_:)`` reads.
  public var description: String {
    switch self {
    case .bridge: "bridge"
    case .host: "host"
    case .none: "none"
    case .container(let donor): "container:\(donor)"
    case .network(let name): name
    }
  }
}

/// The rule for names of networks and containers: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
enum Name {
  /// Bytes.
  static let longest = 200
  static let predefined: Set<String> = ["bridge", "host", "none"]

  /// Checks an alias, a name for other containers' queries; `*.foo` is every name below foo (RFC 4592).
  static func checkAlias(_ alias: String, operation: String) throws(NetworkError) {
    let name = alias.hasPrefix("*.") ? String(alias.dropFirst(2)) : alias
    try check(name, what: "alias", operation: operation, longest: .max)
    // RFC 1035, 2.3.4: of the 255 octets on the wire, the first label's length and the root take two.
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    if let empty = labels.firstIndex(of: "") {
      let place = empty == labels.count - 1 ? "ends with a dot" : "has two dots in a row"
      throw .invalid(operation, "the alias \"\(alias)\" \(place), and DNS has no empty label; write one as in db.prod")
    }
    if let long = labels.first(where: { $0.utf8.count > 63 }) {
      throw .invalid(
        operation, "the alias \"\(alias)\" has a label of \(long.utf8.count) octets; DNS has up to 63 in one")
    }
    guard alias.utf8.count <= 253 else {
      throw .invalid(operation, "the alias \"\(alias)\" has \(alias.utf8.count) octets; DNS has up to 253 in a name")
    }
  }

  static func check(
    _ name: String, what: String, operation: String, longest: Int = Self.longest
  ) throws(NetworkError) {
    let isWord = { (byte: UInt8) in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }
    let isRest = { (byte: UInt8) in isWord(byte) || byte == 0x5f || byte == 0x2e || byte == 0x2d }
    // The limit of a pin's or file's name and of a label in DNS.
    guard name.utf8.count <= longest else {
      throw NetworkError(
        .invalidValue, operation: operation,
        reason: "the \(what)'s name \"\(name.prefix(20))…\" has \(name.utf8.count) bytes; \(longest) are possible")
    }
    guard let first = name.utf8.first, isWord(first), name.utf8.allSatisfy(isRest) else {
      throw NetworkError(
        .invalidValue, operation: operation,
        reason: name.isEmpty
          ? "the \(what)'s name is missing; give one, as in \"web\""
          : "\"\(name)\" is not a \(what) name; it has a letter or digit first, then letters, digits, '_', '.', '-'")
    }
  }
}
