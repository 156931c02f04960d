import ContainerNetworking
import Lab
import Testing

/// A host of ours with two cables, to machines called `outside` and `office` that send everything to it; on it a network to look at, with the containers `web` and `peer`, and another one, with the container `other`.
///
/// Everyone serves: containers on the ports 80 and 81, machines on 7000. `web` has published its port 80 as 8080, `other`
/// as 9090, by TCP and UDP.
struct PolicyWorld {
  let world = World()
  let host: Place
  let controller: NetworkController

  /// Both families of an address.
  static let outside = both("203.0.113.2", "2001:db8::2")
  static let office = both("198.51.100.2", "2001:db8:2::2")
  /// The host's second address on the cable to `outside`, in worlds where it is given one.
  static let second = both("203.0.113.5", "2001:db8::5")
  static let host = both("203.0.113.1", "2001:db8::1")
  static let hostForOffice = both("198.51.100.1", "2001:db8:2::1")
  static let localhost = both("127.0.0.1", "::1")
  static let gateway = both("10.60.0.1", "fd00:60::1")
  static let web = both("10.60.0.2", "fd00:60::2")
  static let peer = both("10.60.0.3", "fd00:60::3")
  static let other = both("10.61.0.2", "fd00:61::2")

  static func both(_ ipv4: String, _ ipv6: String) -> [IPAddress] {
    [ipv4, ipv6].compactMap { try? IPAddress($0) }
  }

  /// The machines, without networks.
  init(settings: ControllerSettings = ControllerSettings(), store: any Store = MemoryStore()) async throws {
    host = try world.machine("host")
    let outside = try world.machine("outside")
    let office = try world.machine("office")
    try world.cable(host, ["203.0.113.1/24", "2001:db8::1/64"], outside, ["203.0.113.2/24", "2001:db8::2/64"])
    try world.cable(
      host, ["198.51.100.1/24", "2001:db8:2::1/64"], office, ["198.51.100.2/24", "2001:db8:2::2/64"])
    // Their default route leads to the host, so that the host decides.
    for (machine, gateways) in [(outside, Self.host), (office, Self.hostForOffice)] {
      for (everything, gateway) in zip(["0.0.0.0/0", "::/0"], gateways) {
        try machine.route(everything, via: "\(gateway)")
      }
    }
    for machine in [host, outside, office] { try machine.serve([7000]) }
    controller = try await NetworkController(host: host.namespace, store: store, settings: settings)
  }

  /// Makes the host's bridges call packet rules for frames, or not. A kernel without br_netfilter never does.
  func setBridgeNetfilter(_ callsRules: Bool) throws {
    for family in ["iptables", "ip6tables"] {
      let name = "net/bridge/bridge-nf-call-\(family)"
      guard (try? host.namespace.sysctl(name)) != nil else { continue }
      try host.namespace.setSysctl(name, to: callsRules ? "1" : "0")
    }
  }

  /// A network of both families: 10.N.0.0/24 and fd00:N::/64.
  @discardableResult
  func network(
    _ name: String, _ number: Int, _ policy: NetworkPolicy = NetworkPolicy(), isInternal: Bool = false
  ) async throws -> NetworkRecord {
    var options = NetworkOptions(isInternal: isInternal, policy: policy)
    options.subnets = [try Subnet("10.\(number).0.0/24"), try Subnet("fd00:\(number)::/64")]
    return try await controller.createNetwork(name, options: options)
  }

  /// A container that serves.
  @discardableResult
  func container(
    _ name: String, on network: String, ports: [String] = [], serving: [UInt16] = [80, 81],
    at addresses: [IPAddress] = []
  ) async throws -> Place {
    let options = AttachOptions(
      ports: try ports.map { try PortMapping($0) }, endpoint: EndpointOptions(addresses: addresses))
    let sandbox = try await controller.attach(name, to: .network(network), options: options)
    let place = try world.place(name, in: sandbox.namespace)
    try place.serve(serving)
    return place
  }

  /// The networks and the containers.
  func populate(_ policy: NetworkPolicy, isInternal: Bool) async throws {
    try await network("net", 60, policy, isInternal: isInternal)
    try await network("far", 61)
    // As the tables have them, whether or not the network has a gateway.
    try await container("web", on: "net", ports: ["8080:80", "8080:80/udp"], at: Self.web)
    try await container("peer", on: "net", at: Self.peer)
    try await container("other", on: "far", ports: ["9090:80", "9090:80/udp"])
  }

  /// What must be answered before anything counts as dropped: what is open whatever the policy of the network that is looked
  /// at.
  ///
  /// - Parameter links: A container, and what it surely reaches by a link of its own.
  func controls(_ links: [(String, [IPAddress])]) -> [Probe] {
    let always = [
      ("outside", Self.host), ("office", Self.hostForOffice), ("other", Self.host), ("host", Self.other),
    ]
    return (always + links).flatMap { from, addresses in
      addresses.map { Probe(from: from, to: $0, port: 7000, by: .icmp) }
    }
  }

  static let names: [IPAddress: String] = {
    var names: [IPAddress: String] = [:]
    for (name, addresses) in [
      ("outside", outside), ("office", office), ("host", host), ("the second address", second),
      ("host for the office", hostForOffice),
      ("localhost", localhost), ("gateway", gateway), ("web", web), ("peer", peer), ("other", other),
    ] {
      for address in addresses { names[address] = name }
    }
    return names
  }()

  /// Tries a table against the one in Documentation/Reach.md, and takes everything away.
  ///
  /// - Parameters:
  ///   - table: What to try.
  ///   - heading: Where it is written.
  ///   - links: See ``controls(_:)``.
  func check(
    _ table: ReachTable, under heading: String, links: [(String, [IPAddress])],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let seen = try await table.seen(in: world, controls: controls(links))
    let differences = try ReachDocument("Reach.md").differences(from: seen, under: heading)
    print("\(heading): \(seen.totals.text)")
    #expect(differences == [], sourceLocation: sourceLocation)
    try await controller.removeAll()
  }

  /// Every direction that a policy is about.
  static let table: ReachTable = {
    let published = "web's published port, by"
    return ReachTable(
      rows: [
        .init("web", "outside", at: "outside", outside, port: 7000, pings: true),
        .init("web", "office", at: "office", office, port: 7000, pings: true),
        .init("web", "the gateway, a port of the host's", at: "host", gateway, port: 7000, pings: true),
        .init("web", "the host's other address", at: "host", host, port: 7000, pings: true),
        .init("web", "peer", at: "peer", peer, port: 80, pings: true),
        .init("web", "other", at: "other", other, port: 80, pings: true),
        .init("web", "other's published port, by the host's address", at: "other", host, port: 9090),
        .init("web", "its own published port, by the host's address", at: "web", host, port: 8080),
        .init("peer", "\(published) the host's address", at: "web", host, port: 8080),
        .init("peer", "\(published) the gateway", at: "web", gateway, port: 8080),
        .init("other", "web, the port that is published", at: "web", web, port: 80, pings: true),
        .init("other", "web, a port that is not", at: "web", web, port: 81),
        .init("other", "\(published) the host's address", at: "web", host, port: 8080),
        .init("host", "web, a port that is not published", at: "web", web, port: 81, pings: true),
        .init("host", "\(published) its own address", at: "web", host, port: 8080),
        .init("host", "\(published) the gateway", at: "web", gateway, port: 8080),
        .init("host", "\(published) localhost", at: "web", localhost, port: 8080),
        .init("outside", "web, the port that is published", at: "web", web, port: 80, pings: true),
        .init("outside", "web, a port that is not", at: "web", web, port: 81),
        .init("outside", "\(published) the host's address", at: "web", host, port: 8080),
        .init("office", "web, the port that is published", at: "web", web, port: 80, pings: true),
        .init("office", "\(published) the host's address", at: "web", hostForOffice, port: 8080),
        .init("outside", "office, through the host", at: "office", office, port: 7000, pings: true),
      ], names: names)
  }()
}
