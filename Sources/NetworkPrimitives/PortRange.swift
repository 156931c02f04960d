/// One port or several consecutive ones, both ends included: `80`, `8000-8010`. Never empty, and never port 0.
public struct PortRange: Hashable, Sendable {
  /// The first port, 1 or more.
  public let lower: UInt16
  /// The last port, not below ``lower``.
  public let upper: UInt16

  /// The ports from `lower` to `upper`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if `lower` is 0 or above `upper`.
  public init(_ lower: UInt16, _ upper: UInt16) throws(NetworkError) {
    guard lower > 0 else {
      throw .invalid("make port range", "\(lower)-\(upper) has the port 0; ports are 1 to 65535")
    }
    guard lower <= upper else {
      throw .invalid("make port range", "\(lower)-\(upper) runs backwards; write \(upper)-\(lower)")
    }
    self.lower = lower
    self.upper = upper
  }

  /// One port.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if it is 0.
  public init(_ port: UInt16) throws(NetworkError) { try self.init(port, port) }

  /// Reads `80` or `8000-8010`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    var ports: [UInt16] = []
    for end in ends {
      guard let port = decimal(end.utf8, atMost: 65535), port > 0 else {
        throw .invalid(
          "parse port range",
          "\(quoted(text))\(ends.count > 1 ? " has the port \(quoted(end))" : " is not a port");"
            + " ports are 1 to 65535, written as in 80 or 8000-8010")
      }
      ports.append(UInt16(port))
    }
    do {
      try self.init(ports[0], ports[ports.count - 1])
    } catch {
      throw .invalid("parse port range", error.reason)
    }
  }

  /// The number of ports.
  public var count: Int { Int(upper) - Int(lower) + 1 }

  /// The ports, in order.
  public var ports: ClosedRange<UInt16> { lower...upper }

  /// Whether the port is one of them.
  public func contains(_ port: UInt16) -> Bool { lower <= port && port <= upper }

  /// Whether a port is in both.
  public func overlaps(_ other: PortRange) -> Bool { lower <= other.upper && other.lower <= upper }
}

extension PortRange: Comparable {
  /// By first port, then by last.
  public static func < (left: PortRange, right: PortRange) -> Bool {
    (left.lower, left.upper) < (right.lower, right.upper)
  }
}

extension PortRange: CustomStringConvertible {
  /// `80` or `8000-8010`.
  public var description: String { lower == upper ? "\(lower)" : "\(lower)-\(upper)" }
}

extension PortRange: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try PortRange(text) }
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
