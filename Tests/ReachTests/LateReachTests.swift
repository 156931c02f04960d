import ContainerNetworking
import Lab
import Testing

/// A machine behind a link of the host's that came after the network and its container, against Documentation/Reach.md.
@Suite(.fewWorlds) struct LateReachTests {
  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func aLinkThatComesLater(isFollowed: Bool) async throws {
    let world = World()
    let host = try world.machine("host")
    let router = try world.machine("router", forwards: true)
    let late = try world.machine("late")
    try world.cable(host, ["203.0.113.1/24", "2001:db8::1/64"], router, ["203.0.113.2/24", "2001:db8::2/64"])
    for (everything, gateway) in [("0.0.0.0/0", "203.0.113.2"), ("::/0", "2001:db8::2")] {
      try host.route(everything, via: gateway)
    }
    let controller = try await NetworkController(host: host.namespace)
    var options = NetworkOptions()
    options.subnets = try ["10.60.0.0/24", "fd00:60::/64"].map { try Subnet($0) }
    try await controller.createNetwork("net", options: options)
    let ports = try ["8080:80", "8080:80/udp"].map { try PortMapping($0) }
    let sandbox = try await controller.attach("web", to: .network("net"), options: AttachOptions(ports: ports))
    let web = try world.place("web", in: sandbox.namespace)
    try world.cable(host, ["198.51.100.1/24", "2001:db8:2::1/64"], late, ["198.51.100.2/24", "2001:db8:2::2/64"])
    if isFollowed { try await controller.attach("next", to: .network("net")) }
    try web.serve([80])
    for place in [router, late] { try place.serve([7000]) }
    let lates = PolicyWorld.both("198.51.100.2", "2001:db8:2::2")
    let table = ReachTable(
      rows: [
        .init("host", "late", at: "late", lates, port: 7000, pings: true),
        .init("web", "late", at: "late", lates, port: 7000, pings: true),
        .init(
          "late", "web's published port", at: "web", PolicyWorld.both("198.51.100.1", "2001:db8:2::1"), port: 8080),
        .init(
          "web", "router, as before", at: "router", PolicyWorld.both("203.0.113.2", "2001:db8::2"), port: 7000,
          pings: true),
      ],
      names: [
        "late": lates, "host": PolicyWorld.both("203.0.113.1", "2001:db8::1"),
        "host, by its late link": PolicyWorld.both("198.51.100.1", "2001:db8:2::1"),
      ].reduce(into: [:]) { names, entry in for address in entry.value { names[address] = entry.key } })
    let controls = zip(["host", "host"], lates).map { Probe(from: $0, to: $1, port: 7000, by: .icmp) }
    let seen = try await table.seen(in: world, controls: controls)
    let heading = "A link that comes later" + (isFollowed ? ", after the next attach" : "")
    #expect(try ReachDocument("Reach.md").differences(from: seen, under: heading) == [])
    try await controller.removeAll()
  }
}
