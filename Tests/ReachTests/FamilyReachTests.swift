import ContainerNetworking
import ContainerNetworkingForwarder
import Lab
import Testing

/// Networks of one family alone, and containers that give themselves routes, against Documentation/Reach.md.
@Suite(.fewWorlds, .timeLimit(.minutes(10))) struct FamilyReachTests {
  /// `four` has IPv4 alone and published 8084:80, `six` IPv6 alone and 8086:80.
  @Test(.timeLimit(.minutes(10))) func oneFamilyAlone() async throws {
    let world = try await PolicyWorld()
    try await world.network("far", 61)
    try await world.container("other", on: "far")
    for (name, subnet, port) in [("four", "10.62.0.0/24", 8084), ("six", "fd00:63::/64", 8086)] {
      var options = NetworkOptions()
      options.subnets = [try Subnet(subnet)]
      options.isIPv4Enabled = name == "four"
      try await world.controller.createNetwork(name, options: options)
      try await world.container(name, on: name, ports: ["\(port):80", "\(port):80/udp"])
    }
    let (outside, host, localhost) = (PolicyWorld.outside, PolicyWorld.host, PolicyWorld.localhost)
    let rows: [ReachTable.Row] = [
      .init("four", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("six", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("outside", "four's published port", at: "four", host, port: 8084),
      .init("outside", "six's published port", at: "six", host, port: 8086),
      .init("host", "four's published port, by localhost", at: "four", localhost, port: 8084),
      .init("host", "six's published port, by localhost", at: "six", localhost, port: 8086),
      .init("other", "four's published port", at: "four", host, port: 8084),
      .init("other", "six's published port", at: "six", host, port: 8086),
      .init("six", "four's published port", at: "four", host, port: 8084),
    ]
    let (fourGateway, sixGateway) = (try IPAddress("10.62.0.1"), try IPAddress("fd00:63::1"))
    try await world.check(
      ReachTable(rows: rows, names: names(["gateway": [fourGateway, sixGateway]])), under: "Networks of one family",
      links: [("four", [fourGateway]), ("six", [sixGateway])])
  }

  /// The same, with a forwarder in another controller of the same record.
  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func aForwarderElsewhere(isFirst: Bool) async throws {
    let store = MemoryStore()
    let world = try await PolicyWorld(store: store)
    let settings = ControllerSettings(forwarder: PortForwarder())
    var elsewhere: NetworkController?
    if isFirst { elsewhere = try await NetworkController(host: world.host.namespace, store: store, settings: settings) }
    try await world.network("far", 61)
    try await world.container("other", on: "far")
    for (name, subnet, port) in [("four", "10.62.0.0/24", 8084), ("six", "fd00:63::/64", 8086)] {
      var options = NetworkOptions()
      options.subnets = [try Subnet(subnet)]
      options.isIPv4Enabled = name == "four"
      try await world.controller.createNetwork(name, options: options)
      try await world.container(name, on: name, ports: ["\(port):80", "\(port):80/udp"])
    }
    if !isFirst {
      elsewhere = try await NetworkController(host: world.host.namespace, store: store, settings: settings)
    }
    let (host, localhost) = (PolicyWorld.host, PolicyWorld.localhost)
    let rows: [ReachTable.Row] = [
      .init("outside", "four's published port", at: "four", host, port: 8084),
      .init("outside", "six's published port", at: "six", host, port: 8086),
      .init("host", "four's published port, by localhost", at: "four", localhost, port: 8084),
      .init("host", "six's published port, by localhost", at: "six", localhost, port: 8086),
      .init("other", "four's published port", at: "four", host, port: 8084),
      .init("other", "six's published port", at: "six", host, port: 8086),
      .init("six", "four's published port", at: "four", host, port: 8084),
    ]
    let (fourGateway, sixGateway) = (try IPAddress("10.62.0.1"), try IPAddress("fd00:63::1"))
    try await world.check(
      ReachTable(rows: rows, names: names(["gateway": [fourGateway, sixGateway]])),
      under: "Networks of one family, with a forwarder",
      links: [("four", [fourGateway]), ("six", [sixGateway])])
    withExtendedLifetime(elsewhere) {}
  }

  /// `web` is on an internal network and uses its gateway as its default route. `one` and `two` are isolated, and `one`
  /// routes to `two` through the gateway.
  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func routesOfTheirOwn(callsRules: Bool) async throws {
    let world = try await PolicyWorld()
    try world.setBridgeNetfilter(callsRules)
    try await world.network("inner", 60, isInternal: true)
    try await world.network("far", 61)
    try await world.network("apart", 62, NetworkPolicy(allowsContainerTraffic: false))
    let web = try await world.container("web", on: "inner")
    try await world.container("other", on: "far", ports: ["9090:80", "9090:80/udp"])
    let one = try await world.container("one", on: "apart")
    try await world.container("two", on: "apart", ports: ["8082:80", "8082:80/udp"])
    let gateway = PolicyWorld.both("10.62.0.1", "fd00:62::1")
    let two = PolicyWorld.both("10.62.0.3", "fd00:62::3")
    for (everything, hop) in zip(["0.0.0.0/0", "::/0"], PolicyWorld.gateway) {
      try web.route(everything, via: "\(hop)")
    }
    for (address, hop) in zip(two, gateway) {
      try one.route("\(address)/\(address.family.bitWidth)", via: "\(hop)")
    }
    let (outside, host) = (PolicyWorld.outside, PolicyWorld.host)
    let rows: [ReachTable.Row] = [
      .init("web", "the gateway", at: "host", PolicyWorld.gateway, port: 7000, pings: true),
      .init("web", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("web", "the host's other address", at: "host", host, port: 7000, pings: true),
      .init(
        "web", "the gateway of another network", at: "host", PolicyWorld.both("10.61.0.1", "fd00:61::1"), port: 7000,
        pings: true),
      .init("web", "other", at: "other", PolicyWorld.other, port: 80, pings: true),
      .init("web", "other's published port", at: "other", host, port: 9090),
      .init("web", "other's published port, by the gateway", at: "other", PolicyWorld.gateway, port: 9090),
      .init("other", "web", at: "web", PolicyWorld.web, port: 80, pings: true),
      .init("one", "two, by the gateway", at: "two", two, port: 80, pings: true),
      .init("one", "two's published port", at: "two", host, port: 8082),
    ]
    try await world.check(
      ReachTable(rows: rows, names: names(["gateway of one and two": gateway])),
      under: "Containers with routes of their own",
      links: [("web", PolicyWorld.gateway), ("one", gateway), ("two", gateway)])
  }
}
