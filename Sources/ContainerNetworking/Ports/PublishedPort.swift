import Netlink
public import NetworkPrimitives

/// A published port: the result of a ``PortMapping``.
public struct PublishedPort: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The requested host address; nil for every one.
  public var hostAddress: IPAddress?
  /// The host's port.
  public var hostPort: UInt16
  /// The container's port.
  public var containerPort: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  /// Whether the port was picked from the host's ephemeral range.
  public var isEphemeral: Bool
  /// The host's addresses at which the kernel translates to the container; 0.0.0.0 and `::` for a family's wildcard.
  /// Empty if the container is reached by its own address (``NetworkPolicy/GatewayMode/routed``). Nil in records of
  /// versions that did not store it.
  public var translated: [IPAddress]?
  /// The host's addresses that a ``PortForwarding`` serves instead of translation: `::1`, and those of a family that
  /// the container lacks. Nil for none.
  public var forwarded: [IPAddress]?

  /// Makes a published port.
  public init(
    hostAddress: IPAddress?, hostPort: UInt16, containerPort: UInt16, transport: TransportProtocol,
    isEphemeral: Bool = false, translated: [IPAddress]? = nil, forwarded: [IPAddress]? = nil
  ) {
    self.hostAddress = hostAddress
    self.hostPort = hostPort
    self.containerPort = containerPort
    self.transport = transport
    self.isEphemeral = isEphemeral
    self.translated = translated
    self.forwarded = forwarded
  }

  /// The host's addresses at which the port is taken, and conflicts with another of its number. 0.0.0.0 and `::` are a
  /// family's wildcard.
  public var addresses: [IPAddress] {
    let translated = translatedAddresses
    return translated + (forwarded ?? []).filter { own in !translated.contains { $0.includes(own) } }
  }

  /// ``translated``, also of older records.
  var translatedAddresses: [IPAddress] {
    translated ?? hostAddress.map { [$0] } ?? AddressFamily.allCases.map { .any($0) }
  }

  /// The bindings that a program of the host would need to receive this port's traffic.
  var bindings: [PortBinding] { addresses.map { PortBinding($0, hostPort, transport) } }

  /// As Docker prints it: `0.0.0.0:8080->80/tcp`.
  public var description: String {
    let address = hostAddress.map { $0.family == .ipv6 ? "[\($0)]" : "\($0)" } ?? "0.0.0.0"
    return "\(address):\(hostPort)->\(containerPort)/\(transport)"
  }
}

extension IPAddress {
  /// Whether a socket bound to this address receives traffic to the other.
  func includes(_ other: IPAddress) -> Bool { self == other || family == other.family && isUnspecified }
}
