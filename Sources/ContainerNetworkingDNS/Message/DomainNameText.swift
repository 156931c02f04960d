public import NetworkPrimitives

extension DomainName: CustomStringConvertible, LosslessStringConvertible {
  /// Reads a name in the form of master files (RFC 1035, section 5.1): labels separated by dots, `\.` for a dot in a
  /// label, `\065` for an octet by its decimal number. A final dot changes nothing; "." alone is the root. Other
  /// characters than ASCII are read as the octets of their UTF-8.
  ///
  /// - Parameter text: The text.
  /// - Throws: `NetworkError.Code.invalidValue` naming the fault.
  public init(parsing text: String) throws(NetworkError) {
    guard text != "." else {
      self = .root
      return
    }
    guard !text.isEmpty else { throw .invalid(Self.operation, "the text is empty; the root is written \".\"") }
    var wire: [UInt8] = []
    var label: [UInt8] = []
    var octets = Array(text.utf8)[...]
    var endsWithDot = false
    while let octet = octets.popFirst() {
      endsWithDot = octet == UInt8(ascii: ".")
      if endsWithDot {
        try Self.append(label, to: &wire)
        label = []
      } else if octet == UInt8(ascii: "\\") {
        label.append(try Self.escaped(&octets, in: text))
      } else {
        label.append(octet)
      }
    }
    if !endsWithDot { try Self.append(label, to: &wire) }
    self.init(checked: wire)
  }

  /// Reads a name as ``init(parsing:)`` does; nil if that throws.
  ///
  /// - Parameter description: The text.
  public init?(_ description: String) {
    guard let name = try? DomainName(parsing: description) else { return nil }
    self = name
  }

  private static func escaped(_ octets: inout ArraySlice<UInt8>, in text: String) throws(NetworkError) -> UInt8 {
    guard let first = octets.popFirst() else {
      throw .invalid(operation, "\(quoted(text)) ends with a backslash; one is written \\\\")
    }
    guard first &- UInt8(ascii: "0") <= 9 else { return first }
    var number = Int(first - UInt8(ascii: "0"))
    for _ in 0..<2 {
      guard let digit = octets.popFirst(), digit &- UInt8(ascii: "0") <= 9 else {
        throw .invalid(operation, "\(quoted(text)) has a backslash before fewer than three digits, as in \\065")
      }
      number = number * 10 + Int(digit - UInt8(ascii: "0"))
    }
    guard let octet = UInt8(exactly: number) else {
      throw .invalid(operation, "\(quoted(text)) has \\\(number); an octet is at most \\255")
    }
    return octet
  }

  /// The labels separated by dots, without a final one; "." for the root. Special characters of master files are
  /// written with a backslash, unprintable ones and those beyond ASCII as `\DDD`.
  public var description: String {
    guard !isRoot else { return "." }
    return labels.map(Self.text).joined(separator: ".")
  }

  private static func text(_ label: ArraySlice<UInt8>) -> String {
    var text = ""
    for octet in label {
      switch octet {
      case UInt8(ascii: "."), UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "("), UInt8(ascii: ")"),
        UInt8(ascii: ";"), UInt8(ascii: "@"), UInt8(ascii: "$"):
        text += "\\" + String(UnicodeScalar(octet))
      case 0x21...0x7e: text.unicodeScalars.append(UnicodeScalar(octet))
      default:
        let digits = String(octet)
        text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
      }
    }
    return text
  }
}
