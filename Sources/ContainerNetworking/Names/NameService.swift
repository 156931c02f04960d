public import NetworkPrimitives

/// Who answers for the names of networks; asked by every verb that gives a container to a network, before it returns.
///
/// The names themselves are in the store: a service reads them there. Calls come from threads of the controller's, several
/// at once, and may block; each may come again for what is served already.
public protocol NameService: Sendable {
  /// The ports at one of which the service listens on a gateway; nil for port 53 itself, which nobody else of the host may
  /// hold then. With ports of its own, the network's rules lead from port 53 to ``NetworkRecord/nameServerPort``.
  var gatewayPorts: ClosedRange<UInt16>? { get }

  /// Returns once the names of the network are answered where its containers ask: at ``NetworkRecord/nameServerPort`` of its
  /// gateways (``NetworkRecord/bridgeGateways``), or at 127.0.0.11:53 inside the namespaces of `sandboxes` for a network that
  /// wants it there; see ``NetworkRecord/servesNamesAt``.
  ///
  /// - Parameters:
  ///   - network: The network; its bridge has its addresses.
  ///   - sandboxes: Containers that are given to it now, and are perhaps not yet ``Phase/ready``; their
  ///     ``SandboxRecord/namespacePath`` opens their namespaces, at the least while the call lasts.
  /// - Throws: What keeps them from being answered, which undoes the verb that asked. After `.inUse`, for a port that
  ///   another holds, the next of ``gatewayPorts`` is tried before.
  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError)

  /// Nothing of the network is to be served any more: it is about to be removed.
  func withdraw(_ network: NetworkRecord)

  /// Nothing is to be served inside the sandbox any more: it goes, or it has left the last network that wants it there.
  func withdraw(_ sandbox: SandboxRecord)

  /// Returns if there is somebody who answers, for those who compare the record with what there is.
  ///
  /// - Throws: What keeps names from being answered.
  func check() throws(NetworkError)

  /// Those of the networks whose names nobody answers, though the service is there.
  ///
  /// - Parameter networks: Networks that containers are on.
  /// - Throws: What keeps all names from being answered.
  func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord]
}

extension NameService {
  /// For services that listen at port 53.
  public var gatewayPorts: ClosedRange<UInt16>? { nil }

  /// For services that are there as long as the process is.
  public func check() throws(NetworkError) {}

  /// For services that serve what they were asked to as long as they are there.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    try check()
    return []
  }
}

/// Where the containers of a network ask for names.
public enum NameServing: String, Hashable, Sendable, Codable, CaseIterable {
  /// At the addresses of the network's bridge.
  case gateway
  /// At 127.0.0.11 inside each container.
  case container
  /// Nowhere: the network has no discovery, and its containers ask whom the host asks.
  case off
}

extension NetworkRecord {
  /// Where its containers ask for names: where its creator said, else at the bridge if that has an address of the
  /// network, inside the containers if not. Predefined networks have no discovery.
  public var servesNamesAt: NameServing {
    if isPredefined { return .off }
    return nameServing ?? (bridgeGateways.isEmpty ? .container : .gateway)
  }

  /// The gateways that are the host's own: addresses of the bridge, one of a family.
  public var bridgeGateways: [IPAddress] {
    guard bridge != nil else { return [] }
    return subnets.compactMap { policy.gatewayMode($0.subnet.family) == .isolated ? nil : $0.gateway }
  }
}
