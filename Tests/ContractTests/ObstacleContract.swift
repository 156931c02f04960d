import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// Foreign rules' effects on our packets are found alike on both kernels.
@Suite struct ObstacleContract {
  private func table(_ family: NftFamily, _ name: String) -> NftTable { NftTable(family: family, name: name) }

  @Test(arguments: KernelUnderTest.available) func whatOthersDropIsFound(_ kernel: KernelUnderTest) async throws {
    let contract = try Contract(kernel)
    let host = NetworkNamespace(contract.namespace, of: contract.kernel)
    try host.links.setUp(index: 1)
    let rules = try host.connection(.netfilter)
    let controller = try await NetworkController(host: host)
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    try await controller.attach(
      "web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    // The effects of br_netfilter are the real kernel's only.
    func obstacles() async throws -> [Obstacle] {
      try await controller.obstacles().filter { !$0.isByBridgeNetfilter }
    }
    #expect(try await obstacles() == [])

    // A firewall that forwards only known traffic, by a set and by a chain of its own.
    let filter = NftChain(
      table: table(.ipv4, "theirs"), name: "FORWARD",
      base: NftChain.Base(.filter, hook: .forward, priority: 0, policy: .drop))
    let known = NftChain(table: filter.table, name: "known")
    let links = NftSet(table: filter.table, name: "links", key: [.interfaceName])
    var changes = NftTransaction()
    try changes.add(filter.table)
    try changes.add(filter)
    try changes.add(known)
    try changes.add(links)
    try changes.add([NftElement(.interface(InterfaceName("eth9")))], to: links)
    try changes.add(NftRule(filter, [.verdict(.jump("known"))]))
    try changes.add(NftRule(known, [.match(.incomingInterface, .inSet("links")), .verdict(.accept)]))
    try changes.add(NftRule(known, [.match(.connectionState, .state(.established)), .verdict(.accept)]))
    try changes.commit(over: rules)
    let found = try await obstacles()
    #expect(found.map(\.network) == ["blue"])
    #expect(found.map(\.table) == ["ip theirs"])
    #expect(found.map(\.chain) == ["FORWARD"])
    #expect(found.first?.rule == nil)
    #expect(found.first?.traffic.contains(.outgoing) == true)
    #expect(found.first?.traffic.contains(.answers) == false)
    #expect(found.map(\.isCertain) == [true])

    // Once its owner accepts the bridge, only a rule for traffic to published ports is an obstacle.
    let bridge = try #require(try await controller.network("blue").bridge)
    changes = NftTransaction()
    try changes.add([NftElement(.interface(bridge))], to: links)
    try changes.insert(
      NftRule(
        filter, comment: "no ports",
        [
          .match(.outgoingInterface, .equal(.interface(bridge))), .match(.connectionState, .state(.new)),
          .verdict(.drop),
        ])
    )
    try changes.commit(over: rules)
    let left = try await obstacles()
    #expect(left.map(\.table) == ["ip theirs"])
    #expect(left.map(\.traffic) == [[.published]])
    #expect(left.map(\.rule) != [nil])

    changes = NftTransaction()
    changes.delete(filter.table)
    try changes.commit(over: rules)
    #expect(try await obstacles() == [])
    try await controller.removeAll()
  }
}
