public import NetworkPrimitives

/// A domain name, always absolute: a sequence of labels of 1 to 63 octets, at most 255 octets in all (RFC 1035, section
/// 2.3.4). Labels are octets of any value (RFC 2181, section 11).
///
/// Names are equal if they differ only in the case of ASCII letters (RFC 4343). The original case is kept, in text and
/// in messages.
public struct DomainName: Sendable {
  /// The form in messages without the root's zero octet: before each label its length. The length is under 64 and so
  /// never a letter: the whole can be compared at once, ignoring case.
  let wire: [UInt8]

  /// Takes a well-formed value unchecked.
  init(checked wire: [UInt8]) { self.wire = wire }

  /// The maximum length of ``wire``: 255 octets with the root's.
  static let longest = 254

  /// The root, which has no labels: ".".
  public static let root = DomainName(checked: [])

  /// The name of these labels, beginning with the leftmost.
  ///
  /// - Parameter labels: Each of 1 to 63 octets.
  /// - Throws: `NetworkError.Code.invalidValue` naming the fault.
  public init(labels: some Sequence<some Collection<UInt8>>) throws(NetworkError) {
    var wire: [UInt8] = []
    for label in labels { try Self.append(label, to: &wire) }
    self.wire = wire
  }

  static func append(_ label: some Collection<UInt8>, to wire: inout [UInt8]) throws(NetworkError) {
    let shown = String(decoding: label, as: UTF8.self)
    guard !label.isEmpty else { throw .invalid(operation, "a label is empty; each has 1 to 63 octets") }
    guard label.count <= 63 else {
      throw .invalid(operation, "the label \(quoted(shown)) has \(label.count) octets; at most 63 are allowed")
    }
    wire.append(UInt8(label.count))
    wire += label
    guard wire.count <= longest else {
      throw .invalid(operation, "the name is too long; its labels may have 254 octets, each counted with one more")
    }
  }

  static let operation = "parse domain name"

  /// The labels, the leftmost first.
  public var labels: [ArraySlice<UInt8>] {
    var labels: [ArraySlice<UInt8>] = []
    var place = 0
    while place < wire.count {
      let next = place + 1 + Int(wire[place])
      labels.append(wire[(place + 1)..<next])
      place = next
    }
    return labels
  }

  /// The number of labels; 0 for the root.
  public var labelCount: Int {
    var count = 0
    var place = 0
    while place < wire.count {
      place += 1 + Int(wire[place])
      count += 1
    }
    return count
  }

  /// Whether it has no labels.
  public var isRoot: Bool { wire.isEmpty }

  /// The number of octets of the uncompressed name in a message, from 1 to 255.
  public var encodedCount: Int { wire.count + 1 }

  /// The name without its leftmost label; nil for the root.
  public var parent: DomainName? {
    guard let first = wire.first else { return nil }
    return DomainName(checked: Array(wire[(1 + Int(first))...]))
  }

  /// This name, followed by `suffix`.
  ///
  /// - Parameter suffix: The labels that follow.
  /// - Throws: `NetworkError.Code.invalidValue` if the result is too long.
  public func appending(_ suffix: DomainName) throws(NetworkError) -> DomainName {
    guard wire.count + suffix.wire.count <= Self.longest else {
      throw .invalid(
        "append domain name",
        "\(self).\(suffix) would have \(wire.count + suffix.wire.count + 1) octets; 255 are allowed")
    }
    return DomainName(checked: wire + suffix.wire)
  }

  /// Whether this is `ancestor` or below it. Everything is below the root.
  ///
  /// - Parameter ancestor: The suffix to test, in whole labels.
  public func isSubdomain(of ancestor: DomainName) -> Bool {
    let rest = wire.count - ancestor.wire.count
    guard rest >= 0 else { return false }
    var place = 0
    while place < rest { place += 1 + Int(wire[place]) }
    return place == rest && Self.areEqual(wire[rest...], ancestor.wire[...])
  }

  /// This name with the letters A to Z as a to z.
  public var lowercased: DomainName { DomainName(checked: wire.map(Self.lowercase)) }
}

extension DomainName: Hashable {
  /// Whether both have the same labels, ignoring the case of ASCII letters (RFC 4343).
  public static func == (left: DomainName, right: DomainName) -> Bool {
    left.wire.count == right.wire.count && (left.wire == right.wire || areEqual(left.wire[...], right.wire[...]))
  }

  /// Whether the other name has the same labels in the same case.
  ///
  /// - Parameter other: The name to compare with.
  public func isIdentical(to other: DomainName) -> Bool { wire == other.wire }

  /// Hashes the labels, ignoring the case of ASCII letters.
  public func hash(into hasher: inout Hasher) {
    // Eight octets at a time: a name is hashed for each query.
    let bytes = wire.span
    var place = 0
    while place + 8 <= bytes.count {
      var word: UInt64 = 0
      for index in place..<(place + 8) { word = word << 8 | UInt64(bytes[index]) }
      hasher.combine(Self.lowercase(word))
      place += 8
    }
    var word = UInt64(bytes.count)
    while place < bytes.count {
      word = word << 8 | UInt64(bytes[place])
      place += 1
    }
    hasher.combine(Self.lowercase(word))
  }

  private static func areEqual(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
    let (left, right) = (left.span, right.span)
    guard left.count == right.count else { return false }
    for index in left.indices where left[index] != right[index] {
      guard lowercase(left[index]) == lowercase(right[index]) else { return false }
    }
    return true
  }

  private static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

  /// Applies ``lowercase(_:)-(UInt8)`` to eight octets at once.
  private static func lowercase(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let low = word & (ones &* 0x7f)
    // The top bit of each octet means: at least "A"; more than "Z"; not ASCII.
    let fromA = low &+ ones &* 0x3f
    let overZ = low &+ ones &* 0x25
    return word | ((fromA ^ overZ) & ~word & (ones &* 0x80)) >> 2
  }
}
