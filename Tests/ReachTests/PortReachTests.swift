import ContainerNetworking
import Lab
import Testing

/// Each form of publishing a port, against the tables in Documentation/Reach.md.
@Suite(.fewWorlds) struct PortReachTests {
  private func makeWorld(_ policy: NetworkPolicy = NetworkPolicy()) async throws -> PolicyWorld {
    let world = try await PolicyWorld()
    let eth0 = try world.host.namespace.links.get("eth0").index
    for address in ["203.0.113.5/24", "2001:db8::5/64"] {
      try world.host.namespace.addresses.add(InterfaceAddress(address), to: eth0)
    }
    try await world.network("net", 60, policy)
    try await world.network("far", 61)
    return world
  }

  private func check(_ rows: [ReachTable.Row], in world: PolicyWorld, under heading: String) async throws {
    try await world.check(
      ReachTable(rows: rows, names: PolicyWorld.names), under: heading,
      links: [("web", PolicyWorld.gateway), ("peer", PolicyWorld.gateway)])
  }

  /// Both protocols of a port of the container.
  private func both(_ port: String) -> [String] { [port, port + "/udp"] }

  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func ports(callsRules: Bool) async throws {
    let world = try await makeWorld()
    try world.setBridgeNetfilter(callsRules)
    var ports = ["8081:80", "8082:80/udp"] + both("8090-8092:90-92") + both("203.0.113.5:8083:80")
    ports += both("[2001:db8::5]:8084:80") + both("127.0.0.1:8085:80") + both("0.0.0.0:8086:80")
    ports += both("[::]:8087:80") + both("203.0.113.1:8088:80")
    try await world.container("web", on: "net", ports: ports, serving: [80, 90, 91, 92, 93])
    let peer = try await world.container("peer", on: "net", ports: both("203.0.113.5:8088:80"))
    try await world.container("other", on: "far")
    try peer.routeLoopback(via: "10.60.0.1")
    try world.world.find("outside")?.routeLoopback(via: "203.0.113.1")
    let (host, second, localhost) = (PolicyWorld.host, PolicyWorld.second, PolicyWorld.localhost)
    let fourLoopback = [PolicyWorld.localhost[0]]
    let rows: [ReachTable.Row] = [
      .init("outside", "8081:80", at: "web", host, port: 8081),
      .init("outside", "8082:80/udp", at: "web", host, port: 8082),
      .init("outside", "8090-8092:90-92, the first", at: "web", host, port: 8090),
      .init("outside", "8090-8092:90-92, the last", at: "web", host, port: 8092),
      .init("outside", "8090-8092:90-92, the next after it", at: "web", host, port: 8093),
      .init("outside", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("outside", "203.0.113.5:8083:80, by the first", at: "web", host, port: 8083),
      .init("office", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("host", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("host", "203.0.113.5:8083:80, by localhost", at: "web", localhost, port: 8083),
      .init("web", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("peer", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("other", "203.0.113.5:8083:80, by the second address", at: "web", second, port: 8083),
      .init("outside", "[2001:db8::5]:8084:80, by the second address", at: "web", second, port: 8084),
      .init("outside", "127.0.0.1:8085:80, by the host's address", at: "web", host, port: 8085),
      .init("host", "127.0.0.1:8085:80, by its own address", at: "web", host, port: 8085),
      .init("host", "127.0.0.1:8085:80, by localhost", at: "web", localhost, port: 8085),
      .init("peer", "127.0.0.1:8085:80, by the gateway", at: "web", PolicyWorld.gateway, port: 8085),
      .init("outside", "127.0.0.1:8085:80, by 127.0.0.1 over the cable", at: "web", fourLoopback, port: 8085),
      .init("peer", "127.0.0.1:8085:80, by 127.0.0.1 over the bridge", at: "web", fourLoopback, port: 8085),
      .init("outside", "a port of the host's, by 127.0.0.1 over the cable", at: "host", fourLoopback, port: 7000),
      .init("peer", "a port of the host's, by 127.0.0.1 over the bridge", at: "host", fourLoopback, port: 7000),
      .init("outside", "0.0.0.0:8086:80", at: "web", host, port: 8086),
      .init("outside", "[::]:8087:80", at: "web", host, port: 8087),
      .init("outside", "203.0.113.1:8088:80", at: "web", host, port: 8088),
      .init("outside", "203.0.113.5:8088:80, of peer", at: "peer", second, port: 8088),
    ]
    try await check(rows, in: world, under: "Published ports")
  }

  @Test(.timeLimit(.minutes(10))) func hostBindingAddress() async throws {
    let world = try await makeWorld(NetworkPolicy(hostBindingAddress: PolicyWorld.second[0]))
    try await world.container("web", on: "net", ports: both("8080:80") + both("203.0.113.1:8081:80"))
    try await world.container("peer", on: "net")
    try await world.container("other", on: "far")
    let (host, second) = (PolicyWorld.host, PolicyWorld.second)
    let rows: [ReachTable.Row] = [
      .init("outside", "8080:80, by the second address", at: "web", second, port: 8080),
      .init("outside", "8080:80, by the first", at: "web", host, port: 8080),
      .init("host", "8080:80, by the second address", at: "web", second, port: 8080),
      .init("host", "8080:80, by localhost", at: "web", PolicyWorld.localhost, port: 8080),
      .init("peer", "8080:80, by the second address", at: "web", second, port: 8080),
      .init("peer", "8080:80, by the gateway", at: "web", PolicyWorld.gateway, port: 8080),
      .init("outside", "203.0.113.1:8081:80, by the first address", at: "web", host, port: 8081),
      .init("outside", "203.0.113.1:8081:80, by the second", at: "web", second, port: 8081),
    ]
    try await check(rows, in: world, under: "A host binding address")
  }
}
