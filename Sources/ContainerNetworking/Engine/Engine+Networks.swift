import AddressPools
import Netlink
import NetworkPrimitives
import Synchronization

extension Engine {
  func createNetwork(_ name: String, options: NetworkOptions) throws(NetworkError) -> NetworkRecord {
    let operation = "create network \"\(name)\""
    try Name.check(name, what: "network", operation: operation)
    guard !Name.predefined.contains(name) else {
      throw NetworkError(
        .refused, operation: operation,
        reason: "\"\(name)\" is predefined; choose a name other than bridge, host and none")
    }
    return try state.withLock { (state) throws(NetworkError) in
      var next = state
      let network = try Undo.guarding(operation) { (undo) throws(NetworkError) in
        try addNetwork(name, options, &next, &undo)
      }
      state = next
      return network.record
    }
  }

  func removeNetwork(_ name: String) throws(NetworkError) {
    let record = try network(name).record
    guard !Name.predefined.contains(record.name) else {
      throw NetworkError(
        .refused, operation: "remove network \"\(name)\"", reason: "\"\(record.name)\" is predefined and stays")
    }
    try removeNetwork(id: record.id)
  }

  func removeNetwork(id: String) throws(NetworkError) {
    let failures = try state.withLock { (state) throws(NetworkError) -> [NetworkError] in
      let network = try state.network(id)
      let attached = state.groups.values.filter { $0.endpoints.contains { $0.networkID == id } }.flatMap(\.members)
      guard attached.isEmpty else {
        throw NetworkError(
          .inUse, operation: "remove network \"\(network.record.name)\"",
          reason: "it has active endpoints: \(attached.sorted().joined(separator: ", ")); detach them first")
      }
      state.networks[id] = nil
      var failures = attempt { () throws(NetworkError) in try firewall.remove(network.record) }
      failures += attempt { () throws(NetworkError) in try host.links.delete(index: network.bridgeIndex) }
      failures += attempt { () throws(NetworkError) in try store.removeNetwork(id: id) }
      if !state.networks.values.contains(where: { !$0.record.isInternal }) {
        for index in state.uplinks { failures += attempt { () throws(NetworkError) in try forward(false, by: index) } }
        state.uplinks = []
      }
      if state.networks.isEmpty, state.hasTable {
        failures += attempt { () throws(NetworkError) in try firewall.remove() }
        state.hasTable = false
      }
      return failures
    }
    guard failures.isEmpty else {
      throw NetworkError(
        failures[0].code, operation: "remove network \(id.prefix(12))",
        reason: "\(failures.count) things could not be taken away", causes: failures)
    }
  }

  /// Validates everything, then makes bridge, address, rules, forwarding and record, each noted for undo.
  func addNetwork(
    _ name: String, _ options: NetworkOptions, _ state: inout State, _ undo: inout Undo
  ) throws(NetworkError) -> Network {
    var network = try plan(name, options, state)
    let record = network.record
    if !state.hasTable {
      try firewall.create()
      undo.note { [firewall] () throws(NetworkError) in try firewall.remove() }
      state.hasTable = true
    }

    let mac = record.gateway.v4.map { MACAddress(ipv4: $0) }
    let bridge = try host.links.createBridge(record.bridge, macAddress: mac, mtu: record.mtu)
    undo.note { [host] () throws(NetworkError) in try host.links.delete(index: bridge.index) }
    network.bridgeIndex = bridge.index
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    settings.forwardsIPv4 = !record.isInternal
    settings.routesLoopback = true
    try perform([
      LinkRequests.change(bridge.index, settings),
      AddressRequests.add(try InterfaceAddress(address: record.gateway, in: record.subnet), to: bridge.index),
      LinkRequests.change(bridge.index, LinkChange(isUp: true)),
    ])

    try firewall.add(record)
    undo.note { [firewall] () throws(NetworkError) in try firewall.remove(record) }
    if !record.isInternal { try forwardUplinks(&state, &undo) }
    try store.save(record)
    undo.note { [store] () throws(NetworkError) in try store.removeNetwork(id: record.id) }
    state.networks[record.id] = network
    return network
  }

  /// The network as it will be. Nothing is changed yet.
  private func plan(_ name: String, _ options: NetworkOptions, _ state: State) throws(NetworkError) -> Network {
    let operation = "create network \"\(name)\""
    guard !state.networks.values.contains(where: { $0.record.name == name }) else {
      throw NetworkError(
        .alreadyExists, operation: operation, reason: "there is a network \"\(name)\" already; choose another name")
    }
    var faults: [NetworkError] = []
    if !(576...65535).contains(options.mtu) {
      faults.append(
        NetworkError(.invalidValue, operation: operation, reason: "the mtu \(options.mtu) is not in 576–65535"))
    }
    if options.subnet == nil, options.ipRange != nil || options.gateway != nil || !options.auxiliaryAddresses.isEmpty {
      faults.append(
        NetworkError(
          .conflictingOptions, operation: operation,
          reason: "ip-range, gateway and auxiliary addresses need a subnet; name the one that they are in"))
    }
    if let subnet = options.subnet, subnet.family == .ipv6 {
      faults.append(
        NetworkError(
          .unsupported, operation: operation,
          reason: "\(subnet) is IPv6; bridge networks are IPv4 so far: name an IPv4 subnet"))
    }
    var configuration = PoolConfiguration()
    if let subnet = options.subnet {
      configuration.subnets.append(
        SubnetConfiguration(
          subnet: subnet, ipRange: options.ipRange, gateway: options.gateway.map { .address($0) } ?? .automatic,
          auxiliaryAddresses: options.auxiliaryAddresses))
    }
    let claims = state.networks.values.map {
      ClaimedSubnet($0.record.subnet, holder: "network \"\($0.record.name)\"")
    }
    let routes = try routedSubnets().filter { route in !claims.contains { $0.subnet == route } }
    faults += configuration.faults(claimed: claims + hidden(routes, by: options.subnet))
    guard faults.isEmpty else {
      throw faults.count == 1
        ? faults[0]
        : NetworkError(
          faults[0].code, operation: operation, reason: "\(faults.count) options are wrong", causes: faults)
    }

    configuration = try configuration.resolved(
      families: [.ipv4], from: settings.pools,
      avoiding: routes + (settings.resolvers ?? HostFiles.resolvers()).map { Subnet($0) }, claimed: claims)
    let pool = try AddressPool(configuration.subnets[0])
    let subnet = pool.subnet
    let id = makeID()
    let bridge = if let bridge = options.bridge { bridge } else { try InterfaceName("br-\(id.prefix(12))") }
    let record = NetworkRecord(
      id: id, name: name, bridge: bridge, subnet: subnet,
      ipRange: options.ipRange, gateway: pool.gateway ?? subnet.first, isInternal: options.isInternal,
      mtu: options.mtu, labels: options.labels)
    return Network(record: record, pool: pool, bridgeIndex: 0)
  }

  /// The destinations of the host's routes, default routes left out.
  private func routedSubnets() throws(NetworkError) -> [Subnet] {
    try host.routes.list().filter { $0.kind == .unicast && $0.destination.prefixLength > 0 }.map(\.destination)
  }

  /// The routes that a subnet written by the user would clash with: those that lie inside it. A wider route only loses a
  /// part to the network, which is what the user asked for.
  private func hidden(_ routes: [Subnet], by subnet: Subnet?) -> [ClaimedSubnet] {
    routes.filter { subnet?.contains($0) == true }.map { ClaimedSubnet($0, holder: "a route of the host") }
  }

  /// Lets the host's own links forward, where they do not yet, and has the firewall see that they forward for us only.
  private func forwardUplinks(_ state: inout State, _ undo: inout Undo) throws(NetworkError) {
    let bridges = Set(state.networks.values.map(\.bridgeIndex))
    var names: [InterfaceName] = []
    for link in try host.links.list()
    where !link.flags.contains(.loopback) && link.master == nil && !bridges.contains(link.index)
      && !state.uplinks.contains(link.index)
    {
      let name = try InterfaceName(link.name)
      // A name with a slash or dot is another path under /proc/sys; such a link is left as it is.
      guard let value = try? host.sysctl("net/ipv4/conf/\(name)/forwarding"), value == "0" else { continue }
      try forward(true, by: link.index)
      let index = link.index
      undo.note { [self] () throws(NetworkError) in try forward(false, by: index) }
      state.uplinks.append(index)
      names.append(name)
    }
    if !names.isEmpty { try firewall.addUplinks(names) }
  }

  private func forward(_ isOn: Bool, by index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.forwardsIPv4 = isOn
    try host.links.change(index, change)
  }

  /// Sends requests to the host's kernel at once, and throws the first refusal.
  func perform(_ requests: [NetlinkRequest], in namespace: NetworkNamespace? = nil) throws(NetworkError) {
    for outcome in try (namespace ?? host).connection(.route).perform(requests) {
      if let error = outcome.error { throw error }
    }
  }

  /// One step of a teardown that goes on whatever happens: the failure, unless the thing was gone already.
  func attempt(_ step: () throws(NetworkError) -> Void) -> [NetworkError] {
    do throws(NetworkError) {
      try step()
      return []
    } catch { return error.code == .notFound ? [] : [error] }
  }
}
