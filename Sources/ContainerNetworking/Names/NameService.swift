public import NetworkPrimitives

/// The name servers of networks; called by every verb that connects a container to a network, before it returns.
///
/// The names themselves are in the store, where a service reads them. Calls come from threads of the controller,
/// concurrently, and may block. Each may be repeated for a network that is already served.
public protocol NameService: Sendable {
  /// The range of ports for listening on a gateway; nil for port 53 itself, which no other program of the host may hold
  /// then. With a range, the network's rules redirect port 53 to ``NetworkRecord/nameServerPort``.
  var gatewayPorts: ClosedRange<UInt16>? { get }

  /// Returns once the network's names are answered where its containers ask. That is ``NetworkRecord/nameServerPort``
  /// of its gateways (``NetworkRecord/bridgeGateways``), or 127.0.0.11:53 inside the namespaces of `sandboxes`; see
  /// ``NetworkRecord/servesNamesAt``.
  ///
  /// - Parameters:
  ///   - network: The network; its bridge has its addresses.
  ///   - sandboxes: Containers that are being connected to it, and may not be ``Phase/ready`` yet; their
  ///     ``SandboxRecord/namespacePath`` opens their namespaces, at least during the call.
  /// - Throws: The failure to serve, which undoes the calling verb. After `.inUse`, for a port that another socket
  ///   holds, the next of ``gatewayPorts`` is tried first.
  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError)

  /// Ends serving the network, which is about to be removed.
  func withdraw(_ network: NetworkRecord)

  /// Ends serving inside the sandbox: it is being removed, or has left the last network with a server inside.
  func withdraw(_ sandbox: SandboxRecord)

  /// Returns if the service works, for comparing the records with reality.
  ///
  /// - Throws: The reason why names are not answered.
  func check() throws(NetworkError)

  /// The networks that are not served, although the service works.
  ///
  /// - Parameter networks: Networks with containers.
  /// - Throws: The reason why no name is answered.
  func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord]
}

extension NameService {
  /// For services that listen at port 53.
  public var gatewayPorts: ClosedRange<UInt16>? { nil }

  /// For services that live as long as the process.
  public func check() throws(NetworkError) {}

  /// For services that never stop serving a network while they live.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    try check()
    return []
  }
}

/// The place of a network's name server.
public enum NameServing: String, Hashable, Sendable, Codable, CaseIterable {
  /// At the addresses of the network's bridge.
  case gateway
  /// At 127.0.0.11 inside each container.
  case container
  /// None: the network has no discovery, and its containers ask the host's name servers.
  case off
}

extension NetworkRecord {
  /// The place of its name server: the creator's choice, else the bridge if that has an address of the network, else
  /// inside the containers. Predefined networks have no discovery.
  public var servesNamesAt: NameServing {
    if isPredefined { return .off }
    return nameServing ?? (bridgeGateways.isEmpty ? .container : .gateway)
  }

  /// The gateways that are the host's own: addresses of the bridge, one for each family.
  public var bridgeGateways: [IPAddress] {
    guard bridge != nil else { return [] }
    return subnets.compactMap { policy.gatewayMode($0.subnet.family) == .isolated ? nil : $0.gateway }
  }
}
