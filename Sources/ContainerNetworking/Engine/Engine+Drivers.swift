import Netlink
import NetworkPrimitives

/// The drivers of networks, and steps that all drivers share.
extension Engine {
  /// - Throws: `.unsupported` for a network whose driver is not there.
  func driver(of network: NetworkRecord, _ operation: String? = nil) throws(NetworkError) -> any Driver {
    try drivers.require(for: network, operation)
  }

  /// Whether its driver is there; other networks are left alone.
  func knows(_ network: NetworkRecord) -> Bool { drivers[network.driver] != nil }

  /// Whether its packets pass the host, which then has our tables and forwards.
  func passesHost(_ network: NetworkRecord) -> Bool { drivers.traits(of: network.driver).passesHost }

  /// As above, and for a network whose driver is not there: what it may need of the host stays.
  func mayPassHost(_ network: NetworkRecord) -> Bool { !knows(network) || passesHost(network) }

  /// Whether its packets leave the host by other links, which forward them.
  func isForwarded(_ network: NetworkRecord) -> Bool { !network.isInternal && passesHost(network) }

  /// Whether containers' ports on it are published.
  func publishesPorts(_ network: NetworkRecord) -> Bool {
    !network.isInternal && drivers.traits(of: network.driver).publishesPorts
  }

  /// The driver's checks of a network's options, and what they make of it; see ``Driver/validate(_:)``.
  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    let driver: any Driver
    do throws(NetworkError) { driver = try drivers.require(plan.options.driver, plan.operation) } catch {
      return [error]
    }
    return plan.options.lostOptions(plan.operation) + (try driver.validate(&plan))
  }

  /// Makes endpoints, those of one driver together.
  ///
  /// - Returns: One entry for each: nil, or its failure with the leftovers of the undo.
  func connect(_ plugs: [EndpointPlug]) -> [NetworkError?] {
    var failures = [NetworkError?](repeating: nil, count: plugs.count)
    for (_, places) in Dictionary(grouping: plugs.indices, by: { plugs[$0].network.driver }) {
      let own = places.map { plugs[$0] }
      let results: [NetworkError?]
      do throws(NetworkError) { results = try driver(of: own[0].network).connect(own) } catch {
        results = own.map { _ in error }
      }
      for (place, result) in zip(places, results) { failures[place] = result }
    }
    return failures
  }

  /// Removes the host's part of a network.
  func tearDown(_ network: NetworkRecord) -> [NetworkError] {
    do throws(NetworkError) { return try driver(of: network).tearDown(network) } catch { return [error] }
  }

  /// Publishes ports of an existing endpoint; see ``HostDriver/publish(_:of:on:)``.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    try hostDriver(of: network).publish(ports, of: endpoint, on: network)
  }

  /// Releases some published ports of an endpoint.
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] {
    do throws(NetworkError) { return try hostDriver(of: network).unpublish(ports, of: endpoint, on: network) } catch {
      return [error]
    }
  }

  private func hostDriver(of network: NetworkRecord) throws(NetworkError) -> any HostDriver {
    if let driver = drivers.host(network.driver) { return driver }
    throw NetworkError(
      .unsupported, operation: "publish ports on network \"\(network.name)\"",
      reason: "its driver \"\(network.driver)\" publishes none")
  }

  /// Removes an endpoint; its network's driver can open the namespace of its container.
  ///
  /// - Parameters:
  ///   - sandbox: The container; nil if it is no longer recorded.
  ///   - isGone: Whether a container that cannot be seen from here counts as gone, as its user says.
  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, of sandbox: SandboxRecord?, isGone: Bool = false
  ) -> [NetworkError] {
    keeper?.end(of: endpoint.id)
    return disconnect(endpoint, from: network) { () throws(NetworkError) in
      guard let sandbox else { return nil }
      switch try find(sandbox) {
      case .seen(let namespace): return namespace
      case .gone: return nil
      case .unseen where isGone: return nil
      // Its link would stay in it.
      case .elsewhere, .unseen: return try namespace(of: sandbox)
      }
    }
  }

  /// Removes an endpoint whose container's namespace is open.
  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace
  ) -> [NetworkError] {
    keeper?.end(of: endpoint.id)
    return disconnect(endpoint, from: network) { () throws(NetworkError) in namespace }
  }

  private func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError] {
    let driver: any Driver
    do throws(NetworkError) { driver = try self.driver(of: network) } catch { return [error] }
    return forgetAddresses(of: endpoint) + driver.disconnect(endpoint, from: network, in: namespace)
  }

  /// Withdraws the permission of the container's newer, remaining endpoints to send from this endpoint's addresses, and
  /// vice versa. Endpoints that are removed too withdraw their own.
  private func forgetAddresses(of endpoint: Endpoint) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      let (others, bridge) = try look { state in
        let others = state.endpoints(ofSandbox: endpoint.sandboxID).filter {
          $0.id != endpoint.id && $0.phase == .ready
        }
        .map { (endpoint: $0, bridge: state.networks[$0.networkID]?.bridge) }
        return (others, state.networks[endpoint.networkID]?.bridge)
      }
      let elements = FirewallElements(of: endpoint, on: bridge, beside: others)
      if !elements.list.isEmpty { try firewall.remove(elements) }
    }
  }
}

extension NetworkRecord {
  /// - Throws: `.damagedRecord` for a network without a bridge.
  func requireBridge() throws(NetworkError) -> InterfaceName {
    if let bridge { return bridge }
    throw NetworkError(
      .damagedRecord, operation: "look for the bridge of network \"\(name)\"",
      reason: "its record names none; remove the network and make it again")
  }
}

extension Endpoint {
  /// - Throws: `.damagedRecord` for an endpoint without a port on the host.
  func requirePort() throws(NetworkError) -> InterfaceName {
    if let hostInterface { return hostInterface }
    throw NetworkError(
      .damagedRecord, operation: "look for the port of \"\(container)\" on \"\(networkName)\"",
      reason: "its record names none; detach the container and attach it again")
  }
}
