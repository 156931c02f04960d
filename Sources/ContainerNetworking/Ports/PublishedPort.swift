import Netlink
public import NetworkPrimitives

/// A port that is published: what became of a ``PortMapping``.
public struct PublishedPort: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The host's address that was asked for; nil for every one.
  public var hostAddress: IPAddress?
  /// The host's port.
  public var hostPort: UInt16
  /// The container's port.
  public var containerPort: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  /// Whether the port was picked from the host's ephemeral range.
  public var isEphemeral: Bool
  /// The host's addresses at which the kernel translates to the container, 0.0.0.0 and `::` for all of a family; none where
  /// the container is reached by its own address (``NetworkPolicy/GatewayMode/routed``). Nil in records of versions that
  /// did not write it down.
  public var translated: [IPAddress]?
  /// The host's addresses that translation does not serve, and a ``PortForwarding`` does: `::1`, and those of a family that
  /// the container has not. Nil for none.
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

  /// The host's addresses that the port is taken at: where another with the same number would be in its way. 0.0.0.0 and
  /// `::` are all of a family.
  public var addresses: [IPAddress] {
    let translated = translatedAddresses
    return translated + (forwarded ?? []).filter { own in !translated.contains { $0.includes(own) } }
  }

  /// ``translated``, also of older records.
  var translatedAddresses: [IPAddress] {
    translated ?? hostAddress.map { [$0] } ?? AddressFamily.allCases.map { .any($0) }
  }

  /// What a program of the host would be bound to that gets what is sent to this port.
  var bindings: [PortBinding] { addresses.map { PortBinding($0, hostPort, transport) } }

  /// As Docker prints it: `0.0.0.0:8080->80/tcp`.
  public var description: String {
    let address = hostAddress.map { $0.family == .ipv6 ? "[\($0)]" : "\($0)" } ?? "0.0.0.0"
    return "\(address):\(hostPort)->\(containerPort)/\(transport)"
  }
}

extension IPAddress {
  /// Whether whoever is bound to this address gets what is sent to another.
  func includes(_ other: IPAddress) -> Bool { self == other || family == other.family && isUnspecified }
}
