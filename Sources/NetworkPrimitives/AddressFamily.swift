/// The two families of IP addresses. The raw value is Linux's `AF_INET` or `AF_INET6` (`linux/socket.h`), as netlink
/// messages carry it.
public enum AddressFamily: UInt8, Sendable, Hashable, Codable, CaseIterable {
  /// `AF_INET`, RFC 791.
  case ipv4 = 2
  /// `AF_INET6`, RFC 8200.
  case ipv6 = 10

  /// Bits in an address: 32 or 128.
  public var bitWidth: Int { self == .ipv4 ? 32 : 128 }
}

extension AddressFamily: Comparable {
  /// IPv4 comes before IPv6.
  public static func < (left: AddressFamily, right: AddressFamily) -> Bool { left.rawValue < right.rawValue }
}

extension AddressFamily: CustomStringConvertible {
  /// `IPv4` or `IPv6`.
  public var description: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
