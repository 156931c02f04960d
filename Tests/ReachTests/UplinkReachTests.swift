import ContainerNetworking
import Foundation
import Lab
import Testing

/// A host with two uplinks whose own answers leave by their query's uplink, against Documentation/Reach.md; and the
/// rules of Documentation/Policies.md that do the same for its containers' answers.
@Suite(.fewWorlds) struct UplinkReachTests {
  private static let heading = "Two uplinks with routes by source"

  @Test(.timeLimit(.minutes(10)), arguments: [false, true]) func twoUplinks(marksConnections: Bool) async throws {
    let world = World()
    let host = try world.machine("host")
    let first = try world.machine("first router", forwards: true)
    let second = try world.machine("second router", forwards: true)
    let client = try world.machine("client")
    try world.cable(host, ["203.0.113.1/24", "2001:db8::1/64"], first, ["203.0.113.2/24", "2001:db8::2/64"])
    try world.cable(host, ["198.51.100.1/24", "2001:db8:2::1/64"], second, ["198.51.100.2/24", "2001:db8:2::2/64"])
    try world.cable(client, ["192.0.2.2/24", "2001:db8:3::2/64"], second, ["192.0.2.1/24", "2001:db8:3::1/64"])
    for (place, gateways) in [
      (host, ["203.0.113.2", "2001:db8::2"]), (client, ["192.0.2.1", "2001:db8:3::1"]),
    ] {
      for (everything, gateway) in zip(["0.0.0.0/0", "::/0"], gateways) { try place.route(everything, via: gateway) }
    }
    try run(
      """
      ip route add default via 198.51.100.2 dev eth1 table 200
      ip -6 route add default via 2001:db8:2::2 dev eth1 table 200
      ip rule add from 198.51.100.1 lookup 200
      ip -6 rule add from 2001:db8:2::1 lookup 200
      """, in: host)
    try host.serve([7000])
    if marksConnections { try run(script(under: "Several uplinks"), in: host) }
    let controller = try await NetworkController(host: host.namespace)
    var options = NetworkOptions()
    options.subnets = try ["10.60.0.0/24", "fd00:60::/64"].map { try Subnet($0) }
    try await controller.createNetwork("net", options: options)
    let ports = try ["8080:80", "8080:80/udp"].map { try PortMapping($0) }
    let sandbox = try await controller.attach("web", to: .network("net"), options: AttachOptions(ports: ports))
    try world.place("web", in: sandbox.namespace).serve([80])
    try first.serve([7000])
    let place = PolicyWorld.both("198.51.100.1", "2001:db8:2::1")
    let table = ReachTable(
      rows: [
        .init("client", "host, by its second uplink", at: "host", place, port: 7000, pings: true),
        .init("client", "web's published port, by the host's second uplink", at: "web", place, port: 8080),
        .init(
          "web", "the first router, as before", at: "first router", PolicyWorld.both("203.0.113.2", "2001:db8::2"),
          port: 7000, pings: true),
      ],
      names: [
        "client": PolicyWorld.both("192.0.2.2", "2001:db8:3::2"),
        "host": PolicyWorld.both("203.0.113.1", "2001:db8::1"),
      ].reduce(into: [:]) { names, entry in for address in entry.value { names[address] = entry.key } })
    let controls = zip(["host", "host"], PolicyWorld.both("203.0.113.2", "2001:db8::2")).map {
      Probe(from: $0, to: $1, port: 7000, by: .icmp)
    }
    let seen = try await table.seen(in: world, controls: controls)
    let heading = Self.heading + (marksConnections ? ", and marks" : "")
    #expect(try ReachDocument("Reach.md").differences(from: seen, under: heading) == [])
    try await controller.removeAll()
  }

  /// The only block of commands under a heading of Documentation/Policies.md.
  private func script(under heading: String) throws -> String {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Documentation/Policies.md")
    let page = try String(contentsOf: path, encoding: .utf8)
    let section = try #require(page.split(separator: "### \(heading)\n").last)
    let block = try #require(section.split(separator: "```sh\n").dropFirst().first)
    return String(try #require(block.split(separator: "```").first))
  }

  private func run(_ script: String, in place: Place) throws {
    let status = try place.namespace.spawn(Command("sh", ["-ec", script])).wait(timeout: .seconds(60))
    #expect(status == .exited(0))
  }
}
