import NetworkPrimitives

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
  private var nextEphemeral: UInt16?

  /// Picks a host port for each container port and takes it: explicit ones first, then those of a range, then
  /// ephemeral ones; within each by container port, then protocol.
  ///
  /// - Throws: `.inUse`, naming the owner; nothing is taken then.
  mutating func publish(
    _ mappings: [PortMapping], for owner: String, ephemeral: ClosedRange<UInt16>
  ) throws(NetworkError) -> [PublishedPort] {
    var attempt = self
    var published: [PublishedPort] = []
    for wish in Self.wishes(mappings) {
      let port = try attempt.pick(wish, owner: owner, ephemeral: ephemeral)
      attempt.uses[Key(transport: wish.transport, port: port), default: []]
        .append(Use(address: wish.address, owner: owner))
      published.append(
        PublishedPort(
          hostAddress: wish.address, hostPort: port, containerPort: wish.containerPort, transport: wish.transport))
    }
    self = attempt
    return published
  }

  mutating func release(_ ports: [PublishedPort]) {
    for port in ports {
      let key = Key(transport: port.transport, port: port.hostPort)
      uses[key]?.removeAll { $0.address == port.hostAddress }
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
  }

  private static func wishes(_ mappings: [PortMapping]) -> [Wish] {
    mappings.flatMap { mapping in
      mapping.containerPorts.ports.enumerated().map { index, port in
        // One container port: any of the host's. Several: the one at the same place.
        let candidates = mapping.hostPorts.map { host in
          guard mapping.containerPorts.count > 1 else { return host.ports }
          let own = host.lower + UInt16(index)
          return own...own
        }
        return Wish(
          address: mapping.hostAddress, candidates: candidates, containerPort: port, transport: mapping.transport)
      }
    }.sorted { $0.rank < $1.rank }
  }

  private mutating func pick(
    _ wish: Wish, owner: String, ephemeral: ClosedRange<UInt16>
  ) throws(NetworkError) -> UInt16 {
    if let candidates = wish.candidates {
      for port in candidates where conflict(wish, port) == nil { return port }
      let holder = conflict(wish, candidates.lowerBound)?.owner ?? ""
      let wanted = candidates.count == 1 ? "port \(candidates.lowerBound)" : "every port of \(candidates)"
      throw NetworkError(
        .inUse, operation: "publish ports of \"\(owner)\"",
        reason: "\(wanted)/\(wish.transport) of the host is published for \"\(holder)\" already; choose another")
    }
    var port = nextEphemeral.flatMap { ephemeral.contains($0) ? $0 : nil } ?? ephemeral.lowerBound
    for _ in ephemeral {
      let following = port == ephemeral.upperBound ? ephemeral.lowerBound : port + 1
      if conflict(wish, port) == nil {
        nextEphemeral = following
        return port
      }
      port = following
    }
    throw NetworkError(
      .exhausted, operation: "publish ports of \"\(owner)\"",
      reason: "every ephemeral port, \(ephemeral), is published already; name a port outside that range")
  }

  /// A wildcard stands in the way of every address, and every address in the way of a wildcard.
  private func conflict(_ wish: Wish, _ port: UInt16) -> Use? {
    uses[Key(transport: wish.transport, port: port)]?.first { use in
      wish.address == nil || use.address == nil || use.address == wish.address
    }
  }
}
