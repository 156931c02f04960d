import NetworkPrimitives
import Synchronization

/// The id of a record on its host: the comment of each element of our sets contains the id of its owner.
struct RecordID: Hashable, Sendable, CustomStringConvertible {
  let number: UInt32

  init(number: UInt32) { self.number = number }

  /// A random id, different from every other record's.
  static func random() -> RecordID {
    let bytes = randomBytes(4)
    return RecordID(number: max(1, bytes.reduce(0) { $0 << 8 | UInt32($1) }))
  }

  /// The id of elements from a version that recorded no owner, until their record claims them.
  static let unclaimed = RecordID(number: 0)

  /// Eight hexadecimal digits.
  var description: String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Returns nil for a malformed text.
  init?(_ text: some StringProtocol) {
    guard text.utf8.count == 8, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }), let number = UInt32(text, radix: 16)
    else { return nil }
    self.number = number
  }

  /// The comment of its elements.
  var comment: String { "record \(self)" }

  /// The owner in an element's comment; nil for none.
  init?(comment: String) {
    let prefix = "record "
    guard comment.hasPrefix(prefix) else { return nil }
    self.init(comment.dropFirst(prefix.count))
  }

  /// The comment of elements that all records share: links whose forwarding one of them has enabled.
  static let shared = "shared by records"
}

/// The id of a firewall's record, which is known once the store is opened.
final class RecordIdentity: Sendable {
  private let value = Mutex(RecordID.random())

  var id: RecordID {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}
