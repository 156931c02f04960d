import NetworkPrimitives

/// A container port to publish.
struct PortWish {
  /// The requested address.
  var address: IPAddress?
  var translated: [IPAddress]
  var forwarded: [IPAddress]
  /// The addresses at which it is taken.
  var addresses: [IPAddress]
  /// The permitted host ports; nil for an ephemeral one.
  var candidates: ClosedRange<UInt16>?
  var containerPort: UInt16
  var transport: TransportProtocol

  var rank: (Int, UInt16, UInt8) {
    let kind = candidates.map { $0.count == 1 ? 0 : 1 } ?? 2
    return (kind, containerPort, transport.number)
  }

  /// Whether another process holds the port on one of the wish's addresses.
  func isHeld(_ port: UInt16, _ held: Set<PortBinding>) -> Bool {
    !held.isEmpty && addresses.contains { held.contains(PortBinding($0, port, transport)) }
  }

  func published(at port: UInt16) -> PublishedPort {
    PublishedPort(
      hostAddress: address, hostPort: port, containerPort: containerPort, transport: transport,
      isEphemeral: candidates == nil, translated: translated, forwarded: forwarded.isEmpty ? nil : forwarded)
  }

  /// Whether its requested addresses include another wish's.
  fileprivate func covers(_ other: PortWish) -> Bool {
    guard let address else { return true }
    return other.address.map { address.includes($0) } ?? false
  }

  fileprivate func collides(with other: PortWish) -> Bool {
    transport == other.transport && (covers(other) || other.covers(self))
  }
}

/// The mappings of one request as ports to pick, without duplicates, and grouped by common number.
struct PortWishes {
  /// Explicit ones first, then those of a range, then ephemeral ones; within each by container port, then protocol.
  private(set) var wishes: [PortWish] = []
  /// Indices of wishes that should get the same host port, in the order of picking: both protocols and both families of
  /// a container's port.
  private(set) var groups: [[Int]] = []

  /// - Throws: `.conflictingOptions` when two mappings map one host port to two container ports.
  init(
    _ mappings: [PortMapping], bindingAddress: IPAddress?, at places: PortPlaces, _ operation: String
  ) throws(NetworkError) {
    // The ports of a single mapping never conflict, and are in order.
    guard mappings.count > 1 else {
      wishes = mappings.flatMap { Self.expand($0, bindingAddress, places) }
      groups = wishes.indices.map { [$0] }
      return
    }
    var all: [(wish: PortWish, mapping: Int)] = []
    for (index, mapping) in mappings.enumerated() {
      all += Self.expand(mapping, bindingAddress, places).map { ($0, index) }
    }
    try Self.checkTargets(all, mappings, places, operation)
    // Equal wishes keep their written order, so that a second pick lines up with the first.
    let order = all.indices.sorted { left, right in
      let ranks = (all[left].wish.rank, all[right].wish.rank)
      return ranks.0 == ranks.1 ? left < right : ranks.0 < ranks.1
    }
    group(Self.merge(order.map { all[$0].wish }))
  }

  private static func expand(
    _ mapping: PortMapping, _ bindingAddress: IPAddress?, _ places: PortPlaces
  ) -> [PortWish] {
    let address = mapping.hostAddress ?? bindingAddress
    let served = places.serve(address)
    let sample = PublishedPort(
      hostAddress: address, hostPort: 1, containerPort: 1, transport: mapping.transport,
      translated: served.translated, forwarded: served.forwarded)
    let addresses = sample.addresses
    return mapping.containerPorts.ports.enumerated().map { index, port in
      // A single container port may use any host port; each of several uses the one at its own position.
      let candidates = mapping.hostPorts.map { host in
        guard mapping.containerPorts.count > 1 else { return host.ports }
        let own = host.lower + UInt16(index)
        return own...own
      }
      return PortWish(
        address: address, translated: served.translated, forwarded: served.forwarded, addresses: addresses,
        candidates: candidates, containerPort: port, transport: mapping.transport)
    }
  }

  private struct HostPort: Hashable {
    var port: UInt16
    var transport: TransportProtocol
  }

  private static func checkTargets(
    _ all: [(wish: PortWish, mapping: Int)], _ mappings: [PortMapping], _ places: PortPlaces, _ operation: String
  ) throws(NetworkError) {
    var named: [HostPort: [Int]] = [:]
    for (index, (wish, _)) in all.enumerated() where !places.areRouted(wish.address) {
      guard let port = wish.candidates?.lowerBound, wish.candidates?.count == 1 else { continue }
      let key = HostPort(port: port, transport: wish.transport)
      if let other = named[key]?.first(where: {
        all[$0].wish.containerPort != wish.containerPort && all[$0].wish.collides(with: wish)
      }) {
        throw NetworkError(
          .conflictingOptions, operation: operation,
          reason:
            "\(mappings[all[other].mapping]) and \(mappings[all[index].mapping]) send port \(port)/\(wish.transport) "
            + "of the host to two ports of the container, \(all[other].wish.containerPort) and \(wish.containerPort); "
            + "give one of them another")
      }
      named[key, default: []].append(index)
    }
  }

  /// A container port and protocol, with their host ports.
  private struct Saying: Hashable {
    var candidates: ClosedRange<UInt16>?
    var containerPort: UInt16
    var transport: TransportProtocol
  }

  /// Among wishes for the same ports, keeps those with the most addresses.
  private static func merge(_ wishes: [PortWish]) -> [PortWish] {
    var kept: [Saying: [Int]] = [:]
    var isCovered = [Bool](repeating: false, count: wishes.count)
    for (index, wish) in wishes.enumerated() {
      let saying = Saying(candidates: wish.candidates, containerPort: wish.containerPort, transport: wish.transport)
      let others = kept[saying, default: []]
      if others.contains(where: { wishes[$0].covers(wish) }) {
        isCovered[index] = true
        continue
      }
      for other in others where wish.covers(wishes[other]) { isCovered[other] = true }
      kept[saying] = others.filter { !isCovered[$0] } + [index]
    }
    return wishes.indices.filter { !isCovered[$0] }.map { wishes[$0] }
  }

  private mutating func group(_ merged: [PortWish]) {
    wishes = merged
    var known: [Saying: [Int]] = [:]
    for (index, wish) in merged.enumerated() {
      // Different ranges may overlap: a group picks from the common ports. A single port is a range of one.
      let isNamed = wish.candidates?.count == 1
      let key = Saying(
        candidates: wish.candidates.map { isNamed ? $0 : 0...0 }, containerPort: wish.containerPort, transport: .tcp)
      let fitting = known[key]?.first { group in
        groups[group].allSatisfy { !merged[$0].collides(with: wish) } && common(groups[group] + [index]) != nil
      }
      if let fitting {
        groups[fitting].append(index)
      } else {
        known[key, default: []].append(groups.count)
        groups.append([index])
      }
    }
  }

  /// The host ports that all given wishes permit; the inner nil stands for ephemeral ports, the outer for none.
  func common(_ places: [Int]) -> ClosedRange<UInt16>?? {
    var lower = UInt16.min
    var upper = UInt16.max
    for place in places {
      guard let own = wishes[place].candidates else { return .some(nil) }
      (lower, upper) = (max(lower, own.lowerBound), min(upper, own.upperBound))
    }
    return lower <= upper ? .some(lower...upper) : nil
  }
}
