/// A name that the kernel accepts for a network interface: 1–15 bytes of UTF-8 (`IFNAMSIZ` less the terminator), without
/// `/`, `:`, `%`, white space or control characters, and neither `.` nor `..`.
///
/// These are the rules of `dev_valid_name` in `net/core/dev.c`, and two more. Control characters: the kernel accepts
/// them, but no tool can show them. `%`: the kernel reads it as a pattern (`eth%d`) from which it makes another name.
public struct InterfaceName: Hashable, Sendable {
  /// The name.
  public let description: String

  /// Checks a name.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the rule that it breaks.
  public init(_ name: String) throws(NetworkError) {
    if let fault = Self.fault(in: name) {
      throw .invalid("check interface name", "\(quoted(name)) \(fault)")
    }
    description = name
  }

  private init(valid: String) { description = valid }

  /// `lo`, the loopback interface, which every network namespace has.
  public static let loopback = InterfaceName(valid: "lo")

  /// The longest name, in bytes.
  public static let maximumLength = 15

  private static func fault(in name: String) -> String? {
    let length = name.utf8.count
    if length == 0 { return "is empty; an interface name has 1 to 15 bytes, as in eth0" }
    if length > maximumLength { return "has \(length) bytes; an interface name has at most \(maximumLength)" }
    if name == "." || name == ".." { return "is the name of a directory; take another, as in eth0" }
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%"):
        return "has \(quoted(String(UnicodeScalar(byte)))) in it; an interface name has no slash, colon or percent sign"
      case UInt8(ascii: " "), 9...13: return "has white space in it; an interface name has none"
      case 0..<32, 127: return "has a control character in it; an interface name has none"
      // The kernel's isspace() takes bytes for Latin-1, in which 0xa0 is a space; in UTF-8 it ends "à", among others.
      case 0xa0: return "has the byte 0xa0 in it, which the kernel takes for white space; use other letters"
      default: continue
      }
    }
    return nil
  }
}

extension InterfaceName: CustomStringConvertible {}

extension InterfaceName: Comparable {
  /// In the order of the strings.
  public static func < (left: InterfaceName, right: InterfaceName) -> Bool { left.description < right.description }
}

extension InterfaceName: Codable {
  /// Decodes and checks a string.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try InterfaceName(text) }
  }

  /// Encodes the string.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
