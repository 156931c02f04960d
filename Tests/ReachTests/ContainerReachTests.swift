import ContainerNetworking
import Lab
import Testing

/// Further names of addresses in cells, added to those of every world.
func names(_ more: [String: [IPAddress]]) -> [IPAddress: String] {
  PolicyWorld.names.merging(more.flatMap { name, addresses in addresses.map { ($0, name) } }) { $1 }
}

/// Containers of several networks, and those of the modes that have none, against Documentation/Reach.md.
@Suite(.fewWorlds, .timeLimit(.minutes(10))) struct ContainerReachTests {
  /// `both` is on `net` and `far` and has its default route by `far`; `inside` is on the internal network `inner` and on
  /// `net`.
  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func severalNetworks(callsRules: Bool) async throws {
    let world = try await PolicyWorld()
    try world.setBridgeNetfilter(callsRules)
    try await world.network("net", 60)
    try await world.network("far", 61)
    try await world.network("inner", 62, isInternal: true)
    // In the order of their addresses.
    try await world.container("web", on: "net")
    try await world.container("both", on: "net", ports: ["8080:80", "8080:80/udp"])
    try await world.container("other", on: "far")
    try await world.container("inside", on: "inner", ports: ["8081:80"])
    try await world.container("inner", on: "inner")
    try await world.controller.connect("both", to: "far", options: EndpointOptions(gatewayPriority: 1))
    try await world.controller.connect("inside", to: "net")
    try await world.controller.publish(
      [PortMapping("8089:80"), PortMapping("8089:80/udp")], of: "both", on: "far")

    let bothOnNet = PolicyWorld.both("10.60.0.3", "fd00:60::3")
    let bothOnFar = PolicyWorld.both("10.61.0.3", "fd00:61::3")
    let insideOnNet = PolicyWorld.both("10.60.0.4", "fd00:60::4")
    let insideOnInner = PolicyWorld.both("10.62.0.2", "fd00:62::2")
    let inner = PolicyWorld.both("10.62.0.3", "fd00:62::3")
    let (far, within) = (PolicyWorld.both("10.61.0.1", "fd00:61::1"), PolicyWorld.both("10.62.0.1", "fd00:62::1"))
    let (outside, host) = (PolicyWorld.outside, PolicyWorld.host)
    let rows: [ReachTable.Row] = [
      .init("both", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("both", "web", at: "web", PolicyWorld.web, port: 80, pings: true),
      .init("both", "other", at: "other", PolicyWorld.other, port: 80, pings: true),
      .init("web", "both, on net", at: "both", bothOnNet, port: 80, pings: true),
      .init("web", "both, on far", at: "both", bothOnFar, port: 80, pings: true),
      .init("other", "both, on far", at: "both", bothOnFar, port: 80, pings: true),
      .init("other", "both, on net", at: "both", bothOnNet, port: 80, pings: true),
      .init("web", "other", at: "other", PolicyWorld.other, port: 80, pings: true),
      .init("host", "both, on net", at: "both", bothOnNet, port: 80, pings: true),
      .init("host", "both, on far", at: "both", bothOnFar, port: 80, pings: true),
      .init("outside", "both, on net", at: "both", bothOnNet, port: 80, pings: true),
      .init("outside", "both's published port", at: "both", host, port: 8080),
      .init("host", "both's published port", at: "both", host, port: 8080),
      .init("web", "both's published port", at: "both", host, port: 8080),
      .init("other", "both's published port", at: "both", host, port: 8080),
      .init("both", "its own published port", at: "both", host, port: 8080),
      .init("outside", "both's port that is published on far", at: "both", host, port: 8089),
      .init("web", "both's port that is published on far", at: "both", host, port: 8089),
      .init("other", "both's port that is published on far", at: "both", host, port: 8089),
      .init("both", "its own port that is published on far", at: "both", host, port: 8089),
      .init("inside", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("inside", "inner", at: "inner", inner, port: 80, pings: true),
      .init("inside", "web", at: "web", PolicyWorld.web, port: 80, pings: true),
      .init("inner", "inside, on inner", at: "inside", insideOnInner, port: 80, pings: true),
      .init("inner", "inside, on net", at: "inside", insideOnNet, port: 80, pings: true),
      .init("inner", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("web", "inside, on net", at: "inside", insideOnNet, port: 80, pings: true),
      .init("web", "inside, on inner", at: "inside", insideOnInner, port: 80, pings: true),
    ]
    let names = names([
      "both on net": bothOnNet, "both on far": bothOnFar, "inside on net": insideOnNet,
      "inside on inner": insideOnInner, "inner": inner, "far's gateway": far,
    ])
    let links = [
      ("web", PolicyWorld.gateway), ("both", PolicyWorld.gateway), ("both", far), ("inside", PolicyWorld.gateway),
      ("inside", within), ("inner", within),
    ]
    try await world.check(
      ReachTable(rows: rows, names: names), under: "Containers of several networks", links: links)
  }

  @Test(.timeLimit(.minutes(10))) func modes() async throws {
    let world = try await PolicyWorld()
    try await world.network("net", 60)
    try await world.network("far", 61)
    try await world.container("web", on: "net", ports: ["8080:80", "8080:80/udp", "8090:90", "8090:90/udp"])
    try await world.container("other", on: "far")
    // The host's and web's namespaces already have an agent, which listens for them; they serve ports of their own.
    for (name, mode, port) in [
      ("monitor", NetworkMode.host, UInt16(7100)), ("alone", .none, 80), ("sharer", .container("web"), 90),
    ] {
      let sandbox = try await world.controller.attach(name, to: mode)
      try world.world.place(name, in: sandbox.namespace).serve([port])
    }
    let (outside, host, web) = (PolicyWorld.outside, PolicyWorld.host, PolicyWorld.web)
    let rows: [ReachTable.Row] = [
      .init("monitor", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("monitor", "web", at: "web", web, port: 80),
      .init("monitor", "web's published port, by localhost", at: "web", PolicyWorld.localhost, port: 8080),
      .init("outside", "monitor, by the host's address", at: "monitor", host, port: 7100),
      .init("web", "monitor, by the gateway", at: "monitor", PolicyWorld.gateway, port: 7100),
      .init("alone", "itself, by localhost", at: "alone", PolicyWorld.localhost, port: 80, pings: true),
      .init("alone", "the host", at: "host", host, port: 7000, pings: true),
      .init("alone", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("sharer", "web, by localhost", at: "web", PolicyWorld.localhost, port: 80),
      .init("web", "sharer, by localhost", at: "sharer", PolicyWorld.localhost, port: 90),
      .init("sharer", "outside", at: "outside", outside, port: 7000, pings: true),
      .init("host", "sharer, by web's address", at: "sharer", web, port: 90),
      .init("other", "sharer, by web's address", at: "sharer", web, port: 90),
      .init("outside", "sharer, by the port that web published", at: "sharer", host, port: 8090),
      .init("sharer", "itself, by the port that web published", at: "sharer", host, port: 8090),
    ]
    try await world.check(
      ReachTable(rows: rows, names: PolicyWorld.names), under: "Host, none and container mode",
      links: [("web", PolicyWorld.gateway)])
  }
}
