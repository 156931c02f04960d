import Netlink
import NetworkPrimitives

/// The ports that the host gives out by itself, but for those that it reserves (`ip_local_port_range` and
/// `ip_local_reserved_ports`, ip-sysctl.rst).
struct EphemeralPorts {
  var range: ClosedRange<UInt16>
  var reserved: [ClosedRange<UInt16>] = []

  func contains(_ port: UInt16) -> Bool { range.contains(port) && !reserved.contains { $0.contains(port) } }
}

/// Which ports of the host are published, and for whom.
struct PortTable {
  private struct Key: Hashable {
    var transport: TransportProtocol
    var port: UInt16
  }

  private struct Use {
    /// nil: every address.
    var address: IPAddress?
    var owner: String
  }

  private var uses: [Key: [Use]] = [:]
  /// Where the search for an ephemeral port goes on.
  private var nextEphemeral: UInt16?

  /// Picks a host port for each container port: explicit ones first, then those of a range, then ephemeral ones; within
  /// each by container port, then protocol. Nothing is taken yet; ``take(_:for:after:)`` does.
  ///
  /// - Parameters:
  ///   - held: What other processes of the host hold.
  ///   - previous: What was picked before that was known, and taken: it stays where it can.
  /// - Throws: `.inUse`, naming the owner; `.exhausted`.
  func pick(
    _ mappings: [PortMapping], for owner: String, bindingAddress: IPAddress?, ephemeral: EphemeralPorts,
    avoiding held: Set<PortBinding> = [], inPlaceOf previous: [PublishedPort] = []
  ) throws(NetworkError) -> [PublishedPort] {
    var picked: [PublishedPort] = []
    var next = nextEphemeral
    for (index, wish) in Self.wishes(mappings, bindingAddress).enumerated() {
      if index < previous.count, !wish.isHeld(previous[index].hostPort, held) {
        picked.append(previous[index])
        continue
      }
      let port = try pick(wish, beside: picked, owner: owner, ephemeral: ephemeral, held: held, next: &next)
      picked.append(
        PublishedPort(
          hostAddress: wish.address, hostPort: port, containerPort: wish.containerPort, transport: wish.transport,
          isEphemeral: wish.candidates == nil))
    }
    return picked
  }

  /// - Parameter old: Those that the owner has had. The others have just been picked, and the search for ephemeral ones goes
  ///   on after them.
  mutating func take(_ ports: [PublishedPort], for owner: String, after old: [PublishedPort]) {
    for port in ports {
      uses[Key(transport: port.transport, port: port.hostPort), default: []]
        .append(Use(address: port.hostAddress, owner: owner))
      if port.isEphemeral, !old.contains(port) { nextEphemeral = port.hostPort &+ 1 }
    }
  }

  /// Has the search go on where that of an older copy stood.
  mutating func goOn(from other: PortTable) { nextEphemeral = other.nextEphemeral ?? nextEphemeral }

  mutating func release(_ ports: [PublishedPort]) {
    for port in ports {
      let key = Key(transport: port.transport, port: port.hostPort)
      if let index = uses[key]?.firstIndex(where: { $0.address == port.hostAddress }) { uses[key]?.remove(at: index) }
      if uses[key]?.isEmpty == true { uses[key] = nil }
    }
  }

  private struct Wish {
    var address: IPAddress?
    var candidates: ClosedRange<UInt16>?
    var containerPort: UInt16
    var transport: TransportProtocol

    var rank: (Int, UInt16, UInt8) {
      let kind = candidates.map { $0.count == 1 ? 0 : 1 } ?? 2
      return (kind, containerPort, transport.number)
    }

    /// Whether another process holds the port on the wish's address, or on all of a family's for one without.
    func isHeld(_ port: UInt16, _ held: Set<PortBinding>) -> Bool {
      let addresses = address.map { [$0] } ?? AddressFamily.allCases.map { .any($0) }
      return addresses.contains { held.contains(PortBinding($0, port, transport)) }
    }
  }

  private static func wishes(_ mappings: [PortMapping], _ bindingAddress: IPAddress?) -> [Wish] {
    mappings.flatMap { mapping in
      mapping.containerPorts.ports.enumerated().map { index, port in
        // One container port: any of the host's. Several: the one at the same place.
        let candidates = mapping.hostPorts.map { host in
          guard mapping.containerPorts.count > 1 else { return host.ports }
          let own = host.lower + UInt16(index)
          return own...own
        }
        return Wish(
          address: mapping.hostAddress ?? bindingAddress, candidates: candidates, containerPort: port,
          transport: mapping.transport)
      }
    }.sorted { $0.rank < $1.rank }
  }

  private func pick(
    _ wish: Wish, beside picked: [PublishedPort], owner: String, ephemeral: EphemeralPorts, held: Set<PortBinding>,
    next: inout UInt16?
  ) throws(NetworkError) -> UInt16 {
    let isFree = { (port: UInt16) in !wish.isHeld(port, held) && self.holder(wish, port, picked, owner) == nil }
    if let candidates = wish.candidates {
      if let port = candidates.first(where: isFree) { return port }
      throw refusal(of: wish, candidates, holder(wish, candidates.lowerBound, picked, owner), owner, held)
    }
    let range = ephemeral.range
    var port = next.flatMap { range.contains($0) ? $0 : nil } ?? range.lowerBound
    for _ in range {
      let following = port == range.upperBound ? range.lowerBound : port + 1
      if ephemeral.contains(port), isFree(port) {
        next = following
        return port
      }
      port = following
    }
    throw NetworkError(
      .exhausted, operation: "publish ports of \"\(owner)\"",
      reason: "every ephemeral port, \(range), is published, reserved or held by a process of the host already; "
        + "name a port outside that range")
  }

  private func refusal(
    of wish: Wish, _ candidates: ClosedRange<UInt16>, _ other: String?, _ owner: String, _ held: Set<PortBinding>
  ) -> NetworkError {
    let operation = "publish ports of \"\(owner)\""
    let wanted = candidates.count == 1 ? "port \(candidates.lowerBound)" : "every port of \(candidates)"
    guard candidates.contains(where: { wish.isHeld($0, held) }) else {
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

  /// Whose the port is: a wildcard stands in the way of every address, and every address in the way of a wildcard.
  private func holder(_ wish: Wish, _ port: UInt16, _ picked: [PublishedPort], _ owner: String) -> String? {
    let collides = { (address: IPAddress?) in
      guard let wanted = wish.address, let address else { return true }
      return address == wanted || address.family == wanted.family && (address.isUnspecified || wanted.isUnspecified)
    }
    if let use = uses[Key(transport: wish.transport, port: port)]?.first(where: { collides($0.address) }) {
      return use.owner
    }
    let isOwn = picked.contains {
      $0.hostPort == port && $0.transport == wish.transport && collides($0.hostAddress)
    }
    return isOwn ? owner : nil
  }
}
