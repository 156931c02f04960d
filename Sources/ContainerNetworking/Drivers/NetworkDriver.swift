/// The name of the driver that makes a network's endpoints. Any name is a value, and a record keeps the one that it was made
/// with: a controller that has no driver of that name leaves the network alone.
public struct NetworkDriver: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  /// The name: `bridge`.
  public let rawValue: String

  /// A driver by its name.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// A driver by its name.
  public init(_ name: String) { rawValue = name }

  /// The name.
  public var description: String { rawValue }

  /// A bridge of the host and a veth pair for each endpoint.
  public static let bridge = NetworkDriver("bridge")
  /// A macvlan for each endpoint: endpoints share a link of the host by MAC address.
  public static let macvlan = NetworkDriver("macvlan")
  /// An ipvlan for each endpoint: endpoints share a link of the host by IP address.
  public static let ipvlan = NetworkDriver("ipvlan")
  /// A bridge that spans hosts; this library has no such driver.
  public static let overlay = NetworkDriver("overlay")
}
