import AddressPools
import Netlink
import NetworkPrimitives

/// The host's own network, which our subnets must not overlap: its addresses, routers, resolvers and routes, whatever
/// their origin, other records' networks included. Objects of our own networks are excluded.
struct Surroundings {
  /// A block that the host has or reaches.
  struct Claim: Hashable {
    /// The addresses.
    var block: Subnet
    /// Its description, as in `the address 203.0.113.1/24 of eth0`.
    var what: String
    /// The link of the block, or of the route to it.
    var link: String?
    /// An address inside, which no container may have.
    var point: IPAddress?
    /// The name of the point among a network's auxiliary addresses.
    var name = ""
  }

  /// Addresses first, then routers, resolvers and routes.
  private(set) var claims: [Claim] = []

  init(
    addresses: [AssignedAddress], routes: [Route], links: [Int32: String], resolvers: [IPAddress],
    networks: [NetworkRecord], others: [String: RecordID] = [:]
  ) {
    let owner = { (link: String?) in
      link.flatMap { others[$0] }.map { " (in use by another record, \($0), on this host)" } ?? ""
    }
    let ownLinks = Set(networks.flatMap(\.ownLinks))
    let ownBlocks = networks.flatMap { $0.subnets.map(\.subnet) }
    let isOwn = { (block: Subnet, link: String?) in
      link.map(ownLinks.contains) == true && ownBlocks.contains { $0.overlaps(block) }
    }
    var connected: Set<Claim> = []
    for own in addresses {
      let (address, block, link) = (own.address.address, own.address.subnet, links[own.link])
      guard !address.isLinkLocal, !address.isLoopback, !isOwn(block, link) else { continue }
      let name = link ?? "link \(own.link)"
      connected.insert(Claim(block: block, what: "", link: link))
      // The width of a default route does not locate addresses.
      claims.append(
        Claim(
          block: block.prefixLength > 1 ? block : Subnet(address),
          what: "the address \(own.address) of \(name)\(owner(link))",
          link: link, point: address, name: "\(name) \(address)"))
    }
    let ways = routes.filter { $0.kind == .unicast }
    var routers: Set<IPAddress> = []
    for route in ways {
      guard let router = route.gateway, !router.isLinkLocal, routers.insert(router).inserted else { continue }
      let link = route.link.flatMap { links[$0] }
      if isOwn(Subnet(router), link) { continue }
      claims.append(
        Claim(
          block: Subnet(router), what: "the router \(router)", link: link, point: router, name: "router \(router)"))
    }
    for resolver in resolvers where !resolver.isLinkLocal && !resolver.isLoopback {
      // The host may ask itself, by an address of its own: a server on a network's bridge is the network's.
      let own = addresses.first { $0.address.address == resolver }
      let link = own.flatMap { links[$0.link] }
      if let own, isOwn(own.address.subnet, link) { continue }
      claims.append(
        Claim(
          block: Subnet(resolver), what: "the resolver \(resolver)", link: link, point: resolver,
          name: "resolver \(resolver)"))
    }
    for route in ways {
      let (block, link) = (route.destination, route.link.flatMap { links[$0] })
      // Every block overlaps a default route, which a VPN often writes as two halves.
      guard block.prefixLength > 1, !block.network.isLinkLocal, !block.network.isMulticast, !isOwn(block, link),
        !connected.contains(Claim(block: block, what: "", link: link))
      else { continue }
      let way = (route.gateway.map { " via \($0)" } ?? "") + (link.map { " by \($0)" } ?? "") + owner(link)
      claims.append(Claim(block: block, what: "the route \(block)\(way)", link: link))
    }
  }

  /// All blocks.
  var blocks: [Subnet] { claims.map(\.block) }

  /// The claims that a subnet contains, or is inside of.
  ///
  /// - Parameter link: A link that the subnet may share: a macvlan's parent, an adopted bridge.
  func overlaps(of subnet: Subnet, on link: InterfaceName?) -> [Claim] {
    let name = link?.description
    let beside = claims.filter { $0.block.overlaps(subnet) && ($0.link == nil || $0.link != name) }
    // On that link, a resolver is an ordinary neighbour.
    let wire = name.map { name in claims.filter { $0.link == name }.map(\.block) } ?? []
    return beside.filter { claim in claim.link != nil || !wire.contains { $0.contains(claim.block) } }
  }

  /// The reserved addresses in a subnet, by their names.
  func points(in subnet: Subnet) -> [String: IPAddress] {
    var points: [String: IPAddress] = [:]
    var known: Set<IPAddress> = []
    for claim in claims {
      guard let point = claim.point, subnet.contains(point), subnet.reservation(of: point) == nil,
        known.insert(point).inserted
      else { continue }
      points[claim.name] = point
    }
    return points
  }
}

extension Engine {
  func surroundings(of networks: [NetworkRecord]) throws(NetworkError) -> Surroundings {
    var links: [Int32: String] = [:]
    for link in try host.links.glances() { links[link.index] = link.name }
    return Surroundings(
      addresses: try host.addresses.list(), routes: try host.routes.list(), links: links,
      resolvers: settings.resolvers ?? HostFiles.resolvers(), networks: networks,
      others: try firewall.othersBridges())
  }

  /// The fault of a subnet that overlaps the host's network: the host would lose its own route to those addresses.
  ///
  /// - Parameter others: Further blocks that a suggested one must not overlap.
  func overlapFault(
    of subnet: Subnet, on link: InterfaceName?, _ surroundings: Surroundings, others: [Subnet], _ operation: String
  ) -> NetworkError? {
    let found = surroundings.overlaps(of: subnet, on: link)
    guard !found.isEmpty else { return nil }
    let free = subnet.nextFree(avoiding: surroundings.blocks + others)
    return NetworkError(
      .inUse, operation: operation,
      reason: "\(subnet) overlaps \(Self.list(found)) of the host; "
        + (free.map { "use \($0), the free block next to it" } ?? "use another block")
        + ", or allow the overlap: host-overlap=true")
  }

  /// The overlaps of a recorded network with the host.
  func hostOverlaps(of network: NetworkRecord, _ surroundings: Surroundings) -> [(subnet: Subnet, what: String)] {
    guard network.allowsHostOverlap != true else { return [] }
    return network.subnets.map(\.subnet).compactMap { subnet in
      // As at its creation: on the wire of an adopted bridge, a resolver is an ordinary neighbour.
      let all = surroundings.overlaps(of: subnet, on: network.adoptsBridge ? network.bridge : network.parent)
      // The host's resolver may be its own address on the bridge, even while that is gone; on an adopted bridge, a neighbour.
      let found = all.filter { claim in
        claim.link != nil || !(network.adoptsBridge || network.bridgeGateways.contains { $0 == claim.point })
      }
      return found.isEmpty ? nil : (subnet, Self.list(found))
    }
  }

  /// Refuses to recreate a network's bridge if the host's network overlaps it by now.
  ///
  /// - Throws: `.inUse`.
  func checkClear(_ network: NetworkRecord, _ surroundings: Surroundings) throws(NetworkError) {
    guard let first = hostOverlaps(of: network, surroundings).first else { return }
    throw NetworkError(
      .inUse, operation: "make network \"\(network.name)\" again",
      reason: "\(first.subnet) overlaps \(first.what) of the host, which was added later; remove that, "
        + "or remove the network and make it with another subnet")
  }

  private static func list(_ found: [Surroundings.Claim]) -> String {
    let (first, rest) = (found.prefix(3).map(\.what), found.count - 3)
    let all = rest > 0 ? first + ["\(rest) more"] : first
    return all.count == 1 ? all[0] : all.dropLast().joined(separator: ", ") + " and " + (all.last ?? "")
  }
}
