import Netlink
import NetworkPrimitives

/// The ports that the host gives out by itself, but for those that it reserves (`ip_local_port_range` and
/// `ip_local_reserved_ports`, ip-sysctl.rst).
struct EphemeralPorts {
  var range: ClosedRange<UInt16>
  var reserved: [ClosedRange<UInt16>] = []
}

/// Which ports of the host are published, and for whom. To find a free one takes a few steps, however many are.
struct PortTable {
  private struct Key: Hashable {
    var transport: TransportProtocol
    var port: UInt16
  }

  private struct Use {
    /// 0.0.0.0 or `::` for all of the family.
    var address: IPAddress
    var owner: String
  }

  /// What is in the way of somebody: all of a family's uses of a port are in that of all addresses, and those of an address
  /// in that of the same one.
  private enum Group: Hashable {
    case family(TransportProtocol, AddressFamily)
    case address(TransportProtocol, IPAddress)
  }

  private var uses: [Key: [Use]] = [:]
  private var taken: [Group: PortBitmap] = [:]
  /// Where the search for an ephemeral port goes on.
  private(set) var nextEphemeral: UInt16?

  /// Picks a host port for each container port: explicit ones first, then those of a range, then ephemeral ones; within
  /// each by container port, then protocol. Nothing is taken yet; ``take(_:for:after:)`` does.
  ///
  /// - Parameters:
  ///   - places: Where the network's ports are served.
  ///   - ephemeral: What to pick from for a mapping without a host port; nil where there is none.
  ///   - held: What other processes of the host hold.
  ///   - previous: What was picked before that was known, and taken: it stays where it can.
  /// - Throws: `.inUse`, naming the owner; `.exhausted`.
  func pick(
    _ mappings: [PortMapping], for owner: String, bindingAddress: IPAddress?, at places: PortPlaces,
    ephemeral: EphemeralPorts?, avoiding held: Set<PortBinding> = [], inPlaceOf previous: [PublishedPort] = []
  ) throws(NetworkError) -> [PublishedPort] {
    guard !mappings.isEmpty else { return [] }
    var picked = Picked(owner: owner, held: held, next: nextEphemeral)
    for (index, wish) in Self.wishes(mappings, bindingAddress, places).enumerated() {
      if index < previous.count, !wish.isHeld(previous[index].hostPort, held) {
        picked.add(previous[index])
        continue
      }
      let port = try pick(wish, ephemeral: ephemeral, &picked)
      picked.add(
        PublishedPort(
          hostAddress: wish.address, hostPort: port, containerPort: wish.containerPort, transport: wish.transport,
          isEphemeral: wish.candidates == nil, translated: wish.translated,
          forwarded: wish.forwarded.isEmpty ? nil : wish.forwarded))
    }
    return picked.ports
  }

  /// - Parameter old: Those that the owner has had. The others have just been picked, and the search for ephemeral ones goes
  ///   on after them.
  mutating func take(_ ports: [PublishedPort], for owner: String, after old: [PublishedPort]) {
    let known = Set(old)
    for port in ports {
      for address in port.addresses {
        uses[Key(transport: port.transport, port: port.hostPort), default: []].append(
          Use(address: address, owner: owner))
        taken[.family(port.transport, address.family), default: PortBitmap()].insert(port.hostPort)
        taken[.address(port.transport, address), default: PortBitmap()].insert(port.hostPort)
      }
      if port.isEphemeral, !known.contains(port) { nextEphemeral = port.hostPort &+ 1 }
    }
  }

  /// Has the search go on where that of an older copy stood.
  mutating func goOn(from next: UInt16?) { nextEphemeral = next ?? nextEphemeral }

  mutating func release(_ ports: [PublishedPort], of owner: String) {
    for port in ports {
      let key = Key(transport: port.transport, port: port.hostPort)
      for address in port.addresses {
        guard let index = uses[key]?.firstIndex(where: { $0.address == address && $0.owner == owner }) else { continue }
        uses[key]?.remove(at: index)
        let left = uses[key] ?? []
        if !left.contains(where: { $0.address == address }) { clear(.address(port.transport, address), port.hostPort) }
        if !left.contains(where: { $0.address.family == address.family }) {
          clear(.family(port.transport, address.family), port.hostPort)
        }
      }
      if uses[key]?.isEmpty == true { uses[key] = nil }
    }
  }

  private mutating func clear(_ group: Group, _ port: UInt16) {
    taken[group]?.remove(port)
    if taken[group]?.count == 0 { taken[group] = nil }
  }

  /// Whose use of a port is in the way of one at these addresses; nil for nobody's.
  func holder(_ port: UInt16, _ transport: TransportProtocol, at addresses: [IPAddress]) -> String? {
    uses[Key(transport: transport, port: port)]?.first { use in
      addresses.contains { $0.includes(use.address) || use.address.includes($0) }
    }?.owner
  }

  // MARK: - Picking

  /// One port that is wanted.
  private struct Wish {
    /// As asked for.
    var address: IPAddress?
    var translated: [IPAddress]
    var forwarded: [IPAddress]
    /// Where it is taken.
    var addresses: [IPAddress]
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
  }

  /// What was picked so far, and what is to be passed over.
  private struct Picked {
    var owner: String
    var held: Set<PortBinding>
    /// Where the search for an ephemeral port goes on.
    var next: UInt16?
    private(set) var ports: [PublishedPort] = []
    private var own = PortTable.Own()

    init(owner: String, held: Set<PortBinding>, next: UInt16?) {
      self.owner = owner
      self.held = held
      self.next = next
    }

    mutating func add(_ port: PublishedPort) {
      ports.append(port)
      own[Key(transport: port.transport, port: port.hostPort), default: []] += port.addresses
    }

    func stands(inTheWayOf wish: Wish, at port: UInt16) -> Bool {
      wish.isHeld(port, held) || collides(wish, port)
    }

    func collides(_ wish: Wish, _ port: UInt16) -> Bool {
      own[Key(transport: wish.transport, port: port)]?.contains { address in
        wish.addresses.contains { $0.includes(address) || address.includes($0) }
      } ?? false
    }
  }

  private typealias Own = [Key: [IPAddress]]

  private static func wishes(
    _ mappings: [PortMapping], _ bindingAddress: IPAddress?, _ places: PortPlaces
  ) -> [Wish] {
    let wishes = mappings.flatMap { mapping in
      let address = mapping.hostAddress ?? bindingAddress
      let served = places.serve(address)
      let sample = PublishedPort(
        hostAddress: address, hostPort: 1, containerPort: 1, transport: mapping.transport,
        translated: served.translated,
        forwarded: served.forwarded)
      return mapping.containerPorts.ports.enumerated().map { index, port in
        // One container port: any of the host's. Several: the one at the same place.
        let candidates = mapping.hostPorts.map { host in
          guard mapping.containerPorts.count > 1 else { return host.ports }
          let own = host.lower + UInt16(index)
          return own...own
        }
        return Wish(
          address: address, translated: served.translated, forwarded: served.forwarded, addresses: sample.addresses,
          candidates: candidates, containerPort: port, transport: mapping.transport)
      }
    }
    if wishes.count < 2 { return wishes }
    // Of equals, in the order that they were written, so that a second pick has them in the places of the first.
    return wishes.enumerated().sorted { left, right in
      let ranks = (left.element.rank, right.element.rank)
      return ranks.0 == ranks.1 ? left.offset < right.offset : ranks.0 < ranks.1
    }.map(\.element)
  }

  private func pick(
    _ wish: Wish, ephemeral: EphemeralPorts?, _ picked: inout Picked
  ) throws(NetworkError) -> UInt16 {
    if let candidates = wish.candidates {
      if let port = firstFree(candidates, wish, picked) { return port }
      throw refusal(of: wish, candidates, picked)
    }
    guard let ephemeral else {
      throw NetworkError(
        .invalidValue, operation: "publish ports of \"\(picked.owner)\"",
        reason:
          "port \(wish.containerPort)/\(wish.transport) has no host port, and there are none to pick from; name one")
    }
    let range = ephemeral.range
    let start = picked.next.flatMap { range.contains($0) ? $0 : nil } ?? range.lowerBound
    let found =
      firstFree(start...range.upperBound, wish, picked, but: ephemeral.reserved)
      ?? firstFree(range.lowerBound...start, wish, picked, but: ephemeral.reserved)
    if let found {
      picked.next = found &+ 1
      return found
    }
    throw NetworkError(
      .exhausted, operation: "publish ports of \"\(picked.owner)\"",
      reason: "every ephemeral port, \(range), is published, reserved or held by a process of the host already; "
        + "name a port outside that range")
  }

  /// The first of a range that nothing is in the way of.
  private func firstFree(
    _ range: ClosedRange<UInt16>, _ wish: Wish, _ picked: Picked, but reserved: [ClosedRange<UInt16>] = []
  ) -> UInt16? {
    let groups = wish.addresses.flatMap { address -> [Group] in
      address.isUnspecified
        ? [.family(wish.transport, address.family)]
        : [.address(wish.transport, address), .address(wish.transport, .any(address.family))]
    }
    let bitmaps = groups.compactMap { taken[$0] }
    var port = range.lowerBound
    search: while true {
      for bitmap in bitmaps where bitmap.contains(port) {
        guard let next = bitmap.firstMissing(from: port, through: range.upperBound) else { return nil }
        port = next
        continue search
      }
      let passed = reserved.first { $0.contains(port) }?.upperBound
      guard passed != nil || picked.stands(inTheWayOf: wish, at: port) else { return port }
      guard (passed ?? port) < range.upperBound else { return nil }
      port = (passed ?? port) + 1
    }
  }

  private func refusal(
    of wish: Wish, _ candidates: ClosedRange<UInt16>, _ picked: Picked
  ) -> NetworkError {
    let first = candidates.lowerBound
    let other =
      holder(first, wish.transport, at: wish.addresses) ?? (picked.collides(wish, first) ? picked.owner : nil)
    let operation = "publish ports of \"\(picked.owner)\""
    let wanted = candidates.count == 1 ? "port \(candidates.lowerBound)" : "every port of \(candidates)"
    guard candidates.contains(where: { wish.isHeld($0, picked.held) }) else {
      return NetworkError(
        .inUse, operation: operation,
        reason: "\(wanted)/\(wish.transport) of the host is published for \"\(other ?? "")\" already; choose another")
    }
    let place = wish.address.map { " at \($0)" } ?? ""
    let remedy = "choose another, or end that process (ss -lntup on the host tells which)"
    return NetworkError(
      .inUse, operation: operation,
      reason: candidates.count == 1
        ? "\(wanted)/\(wish.transport) of the host\(place) is held by another process of the host; \(remedy)"
        : "\(wanted)/\(wish.transport) of the host\(place) is published or held by another process of the host; "
          + remedy)
  }
}
