import Netlink
import NetworkPrimitives

/// The host's ephemeral ports without its reserved ones (`ip_local_port_range` and `ip_local_reserved_ports`,
/// ip-sysctl.rst).
struct EphemeralPorts {
  var range: ClosedRange<UInt16>
  var reserved: [ClosedRange<UInt16>] = []
}

/// The published ports of the host and their owners. Finding a free one takes a few steps, however many there are.
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

  /// Conflict groups: a wildcard binding conflicts with every use of the port in its family, a specific address with
  /// itself and the wildcard.
  private enum Group: Hashable {
    case family(TransportProtocol, AddressFamily)
    case address(TransportProtocol, IPAddress)
  }

  private var uses: [Key: [Use]] = [:]
  private var taken: [Group: PortBitmap] = [:]
  /// The start of the next search for an ephemeral port.
  private(set) var nextEphemeral: UInt16?

  /// Picks a host port for each container port: explicit ones first, then those of a range, then ephemeral ones; within
  /// each by container port, then protocol. Does not take them; ``take(_:for:after:)`` does.
  ///
  /// - Parameters:
  ///   - places: The addresses at which the network's ports are served.
  ///   - ephemeral: The ports for a mapping without a host port; nil for none.
  ///   - held: The ports that other processes of the host hold.
  ///   - previous: The earlier pick, already taken; a port of it is kept if it is not held.
  /// - Throws: `.inUse`, naming the owner; `.exhausted`.
  func pick(
    _ mappings: [PortMapping], for owner: String, bindingAddress: IPAddress?, at places: PortPlaces,
    ephemeral: EphemeralPorts?, avoiding held: Set<PortBinding> = [], inPlaceOf previous: [PublishedPort] = []
  ) throws(NetworkError) -> [PublishedPort] {
    guard !mappings.isEmpty else { return [] }
    let request = try PortWishes(
      mappings, bindingAddress: bindingAddress, at: places, "publish ports of \"\(owner)\"")
    var picked = Picked(owner: owner, held: held, next: nextEphemeral, count: request.wishes.count)
    for group in request.groups {
      let isWhole = group.allSatisfy { index in
        index < previous.count && !request.wishes[index].isHeld(previous[index].hostPort, held)
      }
      if isWhole {
        for index in group { picked.add(previous[index], at: index) }
      } else {
        try pick(group, of: request, ephemeral: ephemeral, inPlaceOf: previous, &picked)
      }
    }
    return picked.ports
  }

  /// - Parameter old: The owner's earlier ports. The search for ephemeral ports continues after the new ones.
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

  /// Continues the search at the position of an older copy.
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

  /// The owner whose binding conflicts with these addresses; nil if the port is free.
  func holder(_ port: UInt16, _ transport: TransportProtocol, at addresses: [IPAddress]) -> String? {
    uses[Key(transport: transport, port: port)]?.first { use in
      addresses.contains { $0.includes(use.address) || use.address.includes($0) }
    }?.owner
  }

  // MARK: - Picking

  /// The ports picked so far, and those to avoid.
  private struct Picked {
    var owner: String
    var held: Set<PortBinding>
    /// The start of the next search for an ephemeral port.
    var next: UInt16?
    private var all: [PublishedPort?]
    private var own = PortTable.Own()

    init(owner: String, held: Set<PortBinding>, next: UInt16?, count: Int) {
      self.owner = owner
      self.held = held
      self.next = next
      all = Array(repeating: nil, count: count)
    }

    /// In the order of the wishes.
    var ports: [PublishedPort] { all.compactMap { $0 } }

    mutating func add(_ port: PublishedPort, at place: Int) {
      all[place] = port
      own[Key(transport: port.transport, port: port.hostPort), default: []] += port.addresses
    }

    func stands(inTheWayOf wish: PortWish, at port: UInt16) -> Bool {
      wish.isHeld(port, held) || collides(wish, port)
    }

    func collides(_ wish: PortWish, _ port: UInt16) -> Bool {
      own[Key(transport: wish.transport, port: port)]?.contains { address in
        wish.addresses.contains { $0.includes(address) || address.includes($0) }
      } ?? false
    }
  }

  private typealias Own = [Key: [IPAddress]]

  /// Picks one port for a whole group if one is free for all; else one for each protocol, or for each wish.
  private func pick(
    _ group: [Int], of request: PortWishes, ephemeral: EphemeralPorts?, inPlaceOf previous: [PublishedPort],
    _ picked: inout Picked
  ) throws(NetworkError) {
    let wishes = group.map { request.wishes[$0] }
    if wishes.count > 1 {
      if let port = try port(for: wishes, among: request.common(group), ephemeral: ephemeral, &picked) {
        for (index, wish) in zip(group, wishes) { picked.add(wish.published(at: port), at: index) }
        return
      }
      let transports = Dictionary(grouping: group) { request.wishes[$0].transport.number }
      let parts = transports.count > 1 ? transports.sorted { $0.key < $1.key }.map(\.value) : group.map { [$0] }
      for part in parts {
        try pick(part, of: request, ephemeral: ephemeral, inPlaceOf: previous, &picked)
      }
      return
    }
    for (index, wish) in zip(group, wishes) {
      if index < previous.count, !wish.isHeld(previous[index].hostPort, picked.held),
        !picked.collides(wish, previous[index].hostPort)
      {
        picked.add(previous[index], at: index)
        continue
      }
      guard
        let port = try port(for: wishes, among: .some(wish.candidates), ephemeral: ephemeral, &picked)
      else { throw refusal(of: wish, ephemeral, picked) }
      picked.add(wish.published(at: port), at: index)
    }
  }

  /// - Parameter candidates: The inner nil stands for ephemeral ports, the outer for no candidates.
  private func port(
    for wishes: [PortWish], among candidates: ClosedRange<UInt16>??, ephemeral: EphemeralPorts?,
    _ picked: inout Picked
  ) throws(NetworkError) -> UInt16? {
    guard let candidates else { return nil }
    if let candidates { return firstFree(candidates, wishes, picked) }
    guard let ephemeral else {
      throw NetworkError(
        .invalidValue, operation: "publish ports of \"\(picked.owner)\"",
        reason:
          "port \(wishes[0].containerPort)/\(wishes[0].transport) has no host port, and the host has none to pick "
          + "from; name one")
    }
    let range = ephemeral.range
    let start = picked.next.flatMap { range.contains($0) ? $0 : nil } ?? range.lowerBound
    let found =
      firstFree(start...range.upperBound, wishes, picked, but: ephemeral.reserved)
      ?? firstFree(range.lowerBound...start, wishes, picked, but: ephemeral.reserved)
    if let found { picked.next = found &+ 1 }
    return found
  }

  /// The first port of a range without a conflict.
  private func firstFree(
    _ range: ClosedRange<UInt16>, _ wishes: [PortWish], _ picked: Picked, but reserved: [ClosedRange<UInt16>] = []
  ) -> UInt16? {
    let groups = wishes.flatMap { wish in
      wish.addresses.flatMap { address -> [Group] in
        address.isUnspecified
          ? [.family(wish.transport, address.family)]
          : [.address(wish.transport, address), .address(wish.transport, .any(address.family))]
      }
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
      let isFree = passed == nil && !wishes.contains { picked.stands(inTheWayOf: $0, at: port) }
      if isFree { return port }
      guard (passed ?? port) < range.upperBound else { return nil }
      port = (passed ?? port) + 1
    }
  }

  private func refusal(of wish: PortWish, _ ephemeral: EphemeralPorts?, _ picked: Picked) -> NetworkError {
    guard let candidates = wish.candidates else {
      let range = ephemeral.map { ", \($0.range)," } ?? ""
      return NetworkError(
        .exhausted, operation: "publish ports of \"\(picked.owner)\"",
        reason: "every ephemeral port\(range) is published, reserved or held by a process of the host already; "
          + "name a port outside that range")
    }
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
