import ContainerNetworking
import Lab
import Testing

/// Two hosts of ours with a router between them, which has routes to their networks, against Documentation/Reach.md.
@Suite(.fewWorlds, .timeLimit(.minutes(10))) struct MachineReachTests {
  /// A host with its controller: its address towards the router, a routed network with `web`, one of the default policy
  /// with `db`.
  private func addHost(
    _ name: String, _ number: Int, to world: World, router: Place
  ) async throws -> (controller: NetworkController, host: Place) {
    let host = try world.machine("host \(name)")
    try world.cable(
      host, ["192.0.2.\(number * 4 + 1)/30", "2001:db8:\(number)::1/64"],
      router, ["192.0.2.\(number * 4 + 2)/30", "2001:db8:\(number)::2/64"])
    try host.route("0.0.0.0/0", via: "192.0.2.\(number * 4 + 2)")
    try host.route("::/0", via: "2001:db8:\(number)::2")
    try router.route("10.\(number).0.0/16", via: "192.0.2.\(number * 4 + 1)")
    try router.route("fd00:\(number)::/32", via: "2001:db8:\(number)::1")
    try host.serve([7000])
    let controller = try await NetworkController(host: host.namespace)
    for (kind, third, mode, hostPort) in [
      ("web", 0, NetworkPolicy.GatewayMode.routed, 8080), ("db", 1, .nat, 8081),
    ] {
      var options = NetworkOptions(policy: NetworkPolicy(gatewayModeIPv4: mode, gatewayModeIPv6: mode))
      options.subnets = [try Subnet("10.\(number).\(third).0/24"), try Subnet("fd00:\(number):\(third)::/64")]
      try await controller.createNetwork(kind, options: options)
      let ports = try ["\(hostPort):80", "\(hostPort):80/udp"].map { try PortMapping($0) }
      let sandbox = try await controller.attach(kind, to: .network(kind), options: AttachOptions(ports: ports))
      try world.place("\(kind) \(name)", in: sandbox.namespace).serve([80, 81])
    }
    return (controller, host)
  }

  @Test(.timeLimit(.minutes(10))) func twoMachinesAndARouter() async throws {
    let world = World()
    let router = try world.machine("router", forwards: true)
    let client = try world.machine("client")
    try world.cable(
      client, ["203.0.113.2/24", "2001:db8:ffff::2/64"], router, ["203.0.113.1/24", "2001:db8:ffff::1/64"])
    try client.route("0.0.0.0/0", via: "203.0.113.1")
    try client.route("::/0", via: "2001:db8:ffff::1")
    try client.serve([7000])
    let one = try await addHost("A", 1, to: world, router: router)
    let two = try await addHost("B", 2, to: world, router: router)

    let addresses: [(String, [IPAddress])] = [
      ("host A", PolicyWorld.both("192.0.2.5", "2001:db8:1::1")), ("web A", PolicyWorld.both("10.1.0.2", "fd00:1::2")),
      ("db A", PolicyWorld.both("10.1.1.2", "fd00:1:1::2")),
      ("host B", PolicyWorld.both("192.0.2.9", "2001:db8:2::1")), ("web B", PolicyWorld.both("10.2.0.2", "fd00:2::2")),
      ("db B", PolicyWorld.both("10.2.1.2", "fd00:2:1::2")),
      ("client", PolicyWorld.both("203.0.113.2", "2001:db8:ffff::2")),
    ]
    let at = Dictionary(uniqueKeysWithValues: addresses)
    let row = { (from: String, words: String, target: String, port: UInt16, by: String?) in
      ReachTable.Row(
        from, words, at: target, at[by ?? target] ?? [], port: port, pings: by == nil && port != 81)
    }
    let rows = [
      row("web A", "client", "client", 7000, nil), row("db A", "client", "client", 7000, nil),
      row("web A", "host B", "host B", 7000, nil), row("db A", "host B", "host B", 7000, nil),
      row("web A", "web B, the port that is published", "web B", 80, nil),
      row("web A", "web B, a port that is not", "web B", 81, nil),
      row("db A", "web B, the port that is published", "web B", 80, nil),
      row("db A", "web B, a port that is not", "web B", 81, nil),
      row("host A", "web B, the port that is published", "web B", 80, nil),
      row("host A", "web B, a port that is not", "web B", 81, nil),
      row("web A", "db B, the port that is published", "db B", 80, nil),
      row("web A", "db B's published port, by host B's address", "db B", 8081, "host B"),
      row("db A", "db B's published port, by host B's address", "db B", 8081, "host B"),
      row("web A", "web B, by host B's address", "web B", 8080, "host B"),
      row("client", "web A, the port that is published", "web A", 80, nil),
      row("client", "web A, a port that is not", "web A", 81, nil),
      row("client", "db A, the port that is published", "db A", 80, nil),
      row("client", "db A's published port, by host A's address", "db A", 8081, "host A"),
    ]
    let names = Dictionary(uniqueKeysWithValues: addresses.flatMap { name, all in all.map { ($0, name) } })
    let controls = addresses.flatMap { name, all in
      all.compactMap { name.hasPrefix("host") ? Probe(from: "client", to: $0, port: 7000, by: .icmp) : nil }
    }
    let seen = try await ReachTable(rows: rows, names: names).seen(in: world, controls: controls)
    let differences = try ReachDocument("Reach.md").differences(from: seen, under: "Two machines and a router")
    print("Two machines and a router: \(seen.totals.text)")
    #expect(differences == [])
    try await one.controller.removeAll()
    try await two.controller.removeAll()
  }
}
