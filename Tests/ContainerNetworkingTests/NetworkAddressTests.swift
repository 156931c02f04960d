import Playground
import SystemPackage
import Testing

@testable import ContainerNetworking

/// How networks get their addresses: what the controller adds to the pools' own rules.
@Suite struct NetworkAddressTests {
  @Test func choosesClearOfRoutesResolversAndNetworks() async throws {
    let world = try Playground()
    try world.host.routes.add(
      Route(
        to: Subnet("172.18.5.0/24"), via: IPAddress(Playground.outsideAddress), link: world.host.links.get("eth0").index
      ))
    try world.host.routes.add(
      Route(to: .all(.ipv4), via: IPAddress(Playground.outsideAddress), link: world.host.links.get("eth0").index))
    let settings = ControllerSettings(resolvers: [try IPAddress("172.19.0.53"), try IPAddress("fd00::53")])
    let controller = try await NetworkController(host: world.host, settings: settings)
    try await controller.attach("web")
    #expect(try await controller.createNetwork("blue").subnet.description == "172.20.0.0/16")
    let small = NetworkOptions(subnet: try Subnet("0.0.0.0/24"))
    #expect(try await controller.createNetwork("small", options: small).subnet.description == "172.18.0.0/24")
    try await controller.removeAll()
  }

  @Test func reportsEveryFaultAndChangesNothing() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.0.0.0/16")))
    let before = try world.host.links.list().map(\.name)

    let overlap = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("10.0.7.0/24")))
    }
    #expect(overlap?.code == .inUse)
    #expect(overlap?.description.contains("10.0.7.0/24 overlaps 10.0.0.0/16 of network \"blue\"") == true)

    // Over the host's own link.
    let route = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("203.0.112.0/20")))
    }
    #expect(route?.description.contains("203.0.112.0/20 overlaps 203.0.113.0/24 of a route of the host") == true)

    let several = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork(
        "red",
        options: NetworkOptions(
          subnet: try Subnet("10.1.0.0/24"), ipRange: try Subnet("10.2.0.0/24"), gateway: try IPAddress("10.1.0.255"),
          auxiliaryAddresses: ["router": try IPAddress("10.3.0.1")], mtu: 1))
    }
    #expect(several?.causes.count == 4)
    for part in ["mtu", "10.2.0.0/24", "10.1.0.255 is the broadcast address", "\"router\""] {
      #expect(several?.description.contains(part) == true)
    }
    #expect(try world.host.links.list().map(\.name) == before)
    try await controller.removeAll()
  }

  @Test func readsResolvConf() throws {
    let text = """
      # nameserver 192.0.2.1
      search example.org
      nameserver 10.0.0.53
      \tnameserver   fe80::1%eth0  # a comment
      nameserver
      nameserver nonsense
      nameservers 192.0.2.2
      nameserver 2001:db8::53
      """
    #expect(HostFiles.resolvers(in: text).map(\.description) == ["10.0.0.53", "fe80::1", "2001:db8::53"])
    #expect(HostFiles.resolvers(in: "").isEmpty)
    #expect(HostFiles.text("/nonexistent") == nil)
    #expect(HostFiles.text("/proc/sys/kernel/ostype") == "Linux\n")
  }

  @Test func theMachinesPoolsStayTheSame() {
    #expect(DefaultPools.ofThisMachine() == .ofThisMachine())
    #expect(DefaultPools.ofThisMachine().pools.contains { $0.block.family == .ipv6 && $0.size == 64 })
  }
}
