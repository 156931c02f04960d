import NetworkPrimitives

/// A message between processes and the server: texts, each preceded by its length, and all preceded by the total
/// length.
struct ServerMessage: Equatable {
  var texts: [String]

  /// The name of the server's socket in its directory.
  static let socketName = "dns.sock"
  /// The longest message, bytes.
  static let limit = 1 << 20

  init(_ texts: [String]) { self.texts = texts }

  /// The message on the wire.
  var bytes: [UInt8] {
    var body: [UInt8] = []
    for text in texts {
      body += Self.number(text.utf8.count)
      body += text.utf8
    }
    return Self.number(body.count) + body
  }

  /// Reads a message after its total length; nil if it is malformed.
  init?(body: [UInt8]) {
    texts = []
    var rest = body[...]
    while !rest.isEmpty {
      guard rest.count >= 4 else { return nil }
      let count = Self.number(rest.prefix(4))
      rest = rest.dropFirst(4)
      guard count <= rest.count, let text = String(validating: rest.prefix(count), as: UTF8.self) else { return nil }
      texts.append(text)
      rest = rest.dropFirst(count)
    }
  }

  static func number(_ bytes: some Sequence<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

  private static func number(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> $0 & 0xff) } }
}

extension ServerMessage {
  /// The answer that reports an error.
  init(_ error: NetworkError) {
    self.init([
      "error", error.code.description, error.operation, error.kernel.map { "\(error.reason) [\($0)]" } ?? error.reason,
    ])
  }

  /// Success.
  static let done = ServerMessage(["done"])

  /// The error in an answer; nil for success.
  var error: NetworkError? {
    if self == .done || texts.first == "unserved" { return nil }
    guard texts.count == 4, texts[0] == "error" else {
      return NetworkError(
        .malformedMessage, operation: "call the name server",
        reason: "its answer cannot be read; it may be of another version")
    }
    let code = Self.codes.first { $0.description == texts[1] } ?? .kernelRefused
    return NetworkError(code, operation: texts[2], reason: texts[3])
  }

  private static let codes: [NetworkError.Code] = [
    .invalidValue, .conflictingOptions, .alreadyExists, .notFound, .ambiguous, .inUse, .exhausted, .permissionDenied,
    .unsupported, .refused, .malformedMessage, .replyLost, .interrupted, .damagedRecord, .closed, .kernelRefused,
  ]
}
