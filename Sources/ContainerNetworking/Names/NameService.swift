public import NetworkPrimitives

/// Who answers for the names of networks; asked by every verb that gives a container to a network, before it returns.
///
/// The names themselves are in the store: a service reads them there. Calls come from threads of the controller's, several
/// at once, and may block; each may come again for what is served already.
public protocol NameService: Sendable {
  /// Returns once the names of the network are answered where its containers ask: at its gateways' port 53
  /// (``NetworkRecord/bridgeGateways``), or at 127.0.0.11:53 inside the namespaces of `sandboxes` for a network that
  /// wants it there; see ``NetworkRecord/servesNamesAt``.
  ///
  /// - Parameters:
  ///   - network: The network; its bridge has its addresses.
  ///   - sandboxes: Containers that are given to it now, and are perhaps not yet ``Phase/ready``; their
  ///     ``SandboxRecord/namespacePath`` opens their namespaces, at the least while the call lasts.
  /// - Throws: What keeps them from being answered, as `.inUse` for a port 53 that another holds. The verb that asked is
  ///   undone then.
  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError)

  /// Nothing of the network is to be served any more: it is about to be removed.
  func withdraw(_ network: NetworkRecord)

  /// Nothing is to be served inside the sandbox any more: it goes, or it has left the last network that wants it there.
  func withdraw(_ sandbox: SandboxRecord)

  /// Returns if there is somebody who answers, for those who compare the record with what there is.
  ///
  /// - Throws: What keeps names from being answered.
  func check() throws(NetworkError)
}

extension NameService {
  /// For services that are there as long as the process is.
  public func check() throws(NetworkError) {}
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
