public import ContainerNetworking
import Playground
import Synchronization

/// A small world of machines, each a network namespace, joined by cables: hosts, routers, clients, and the containers that
/// a controller puts on a host. It vanishes with the last reference; nothing of it reaches the machine that it is on.
public final class World: Sendable {
  private let all = Mutex<[Place]>([])
  /// The number of the next probe; see `lab-agent`.
  let token = Mutex<Int>(0)

  /// Makes an empty one.
  public init() {}

  /// Every place of it, as they came.
  public var places: [Place] { all.withLock { $0 } }

  /// A new machine.
  ///
  /// - Parameters:
  ///   - name: What it is called in tables.
  ///   - forwards: Whether it is a router.
  public func machine(_ name: String, forwards: Bool = false) throws -> Place {
    let namespace = try NetworkNamespace.create()
    if forwards {
      try namespace.setSysctl("net/ipv4/ip_forward", to: "1")
      try namespace.setSysctl("net/ipv6/conf/all/forwarding", to: "1")
    }
    return try place(name, in: namespace)
  }

  /// A place in a namespace that is there: a container's.
  public func place(_ name: String, in namespace: NetworkNamespace) throws -> Place {
    // Or the kernel keeps most of its refusals to itself, icmp(7).
    try namespace.setSysctl("net/ipv4/icmp_ratelimit", to: "0")
    try namespace.setSysctl("net/ipv6/icmp/ratelimit", to: "0")
    let place = Place(name: name, namespace: namespace, agent: try Agent(name, in: namespace))
    all.withLock { $0.append(place) }
    return place
  }

  /// A place by its name.
  public func find(_ name: String) -> Place? { places.first { $0.name == name } }

  /// A cable between two machines, with the addresses of its ends; the interfaces are called `eth` and the lowest free
  /// number.
  public func cable(_ one: Place, _ ones: [String], _ other: Place, _ others: [String]) throws {
    let names = try [one, other].map { place throws in
      let taken = Set(try place.namespace.links.list().map(\.name))
      return try InterfaceName((0...).lazy.map { "eth\($0)" }.first { !taken.contains($0) } ?? "eth0")
    }
    _ = try one.namespace.links.createVeth(
      VethEnd(names[0]), peer: VethEnd(names[1], namespace: other.namespace.handle.descriptor))
    var ends: [(namespace: NetworkNamespace, link: Int32)] = []
    for (place, name, addresses) in [(one, names[0], ones), (other, names[1], others)] {
      let link = try place.namespace.links.get("\(name)").index
      try place.namespace.addAddresses(addresses, to: link, named: "\(name)")
      try place.namespace.links.setUp(index: link)
      ends.append((place.namespace, link))
    }
    for end in ends { try end.namespace.awaitAddresses(of: end.link) }
  }
}

/// A namespace of a world, where probes start and arrive.
public final class Place: Sendable {
  /// Its name in tables.
  public let name: String
  /// The namespace.
  public let namespace: NetworkNamespace
  let agent: Agent

  init(name: String, namespace: NetworkNamespace, agent: Agent) {
    self.name = name
    self.namespace = namespace
    self.agent = agent
  }

  /// Answers every client of the ports, by TCP and UDP, on any address.
  public func serve(_ ports: [UInt16]) throws {
    for port in ports { try agent.tell("serve \(port)") }
    _ = try sync()
  }

  /// A route of the main table.
  public func route(_ destination: String, via gateway: String) throws {
    let hop = try IPAddress(gateway)
    let link = try namespace.routes.get(to: hop).link
    try namespace.routes.add(Route(to: try Subnet(destination), via: hop, link: link))
  }

  /// Sends even packets for 127.0.0.0/8 to a gateway, as an attacker's machine may.
  public func routeLoopback(via gateway: String) throws {
    let hop = try IPAddress(gateway)
    let link = try namespace.links.get(try namespace.routes.get(to: hop).link ?? 0)
    let loopback = try Subnet("127.0.0.0/8")
    for route in try namespace.routes.list(table: 255, family: .ipv4) where loopback.contains(route.destination) {
      if route.kind == .local { try namespace.routes.delete(route) }
    }
    try namespace.setSysctl("net/ipv4/conf/\(link.name)/route_localnet", to: "1")
    try namespace.routes.add(Route(to: loopback, via: hop, link: link.index))
  }

  /// Makes the agent process all arrivals, and returns its report.
  func sync() throws -> [String] {
    try agent.tell("sync")
    let lines = try agent.lines(through: "synced")
    try agent.expect("synced", of: lines)
    return lines
  }
}
