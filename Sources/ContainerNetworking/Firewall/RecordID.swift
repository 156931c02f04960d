import NetworkPrimitives
import Synchronization

/// What a record is known by on its host, beside others: each element of our sets says in its comment whose it is.
struct RecordID: Hashable, Sendable, CustomStringConvertible {
  let number: UInt32

  init(number: UInt32) { self.number = number }

  /// One at random, which no other record of the host has.
  static func random() -> RecordID {
    let bytes = randomBytes(4)
    return RecordID(number: max(1, bytes.reduce(0) { $0 << 8 | UInt32($1) }))
  }

  /// Of what a version made that wrote nobody down, until its record claims it.
  static let unclaimed = RecordID(number: 0)

  /// Eight hexadecimal digits.
  var description: String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Nil for what is no such text.
  init?(_ text: some StringProtocol) {
    guard text.utf8.count == 8, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }), let number = UInt32(text, radix: 16)
    else { return nil }
    self.number = number
  }

  /// What is written behind its elements.
  var comment: String { "record \(self)" }

  /// Whose element has that comment; nil for nobody's.
  init?(comment: String) {
    let prefix = "record "
    guard comment.hasPrefix(prefix) else { return nil }
    self.init(comment.dropFirst(prefix.count))
  }

  /// Behind elements that all records have in common: links that one of them has switched on.
  static let shared = "shared by records"
}

/// The id of the record that a firewall writes for, which is known once that is opened.
final class RecordIdentity: Sendable {
  private let value = Mutex(RecordID.random())

  var id: RecordID {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}
