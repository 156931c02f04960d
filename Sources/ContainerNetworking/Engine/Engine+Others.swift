import Glibc
import Netlink
import NetworkPrimitives

/// Other records of the host: prevents overlapping blocks, and removes dead records.
extension Engine {
  /// Marks the error of a concurrent choice of the same block by another record.
  private static let contest = "list the blocks of other records"

  /// Adds a network; chooses again if another record has concurrently chosen the same block.
  func addNetwork(_ name: String, _ options: NetworkOptions) throws(NetworkError) -> NetworkRecord {
    for _ in 1..<20 {
      do throws(NetworkError) { return try addNetworkOnce(name, options) } catch {
        guard error.causes.contains(where: { $0.operation == Self.contest }) else { throw error }
        usleep(UInt32.random(in: 1_000...50_000))
      }
    }
    return try addNetworkOnce(name, options)
  }

  /// Checks, once a network's addresses exist, for another record with the same block: of two, at least one sees the
  /// other.
  ///
  /// - Throws: `.inUse`, with the network torn down.
  func checkAgainstOthers(_ network: NetworkRecord) throws(NetworkError) {
    guard passesHost(network), network.allowsHostOverlap != true else { return }
    let failure: NetworkError
    do throws(NetworkError) {
      let others = try firewall.othersBridges()
      if others.isEmpty { return }
      let indices = try linkIndices()
      let owners = Dictionary(
        others.compactMap { name, id in indices[name].map { ($0, id) } }
      ) { first, _ in first }
      let blocks = network.subnets.map(\.subnet)
      let found = try host.routes.list().first { route in
        guard let link = route.link, owners[link] != nil, route.kind == .unicast, route.destination.prefixLength > 0
        else { return false }
        return blocks.contains { $0.overlaps(route.destination) }
      }
      guard let found, let other = found.link.flatMap({ owners[$0] }) else { return }
      failure = NetworkError(
        .inUse, operation: Self.contest,
        reason: "the subnet \(found.destination) is in use by another record (\(other)) on this host; choose another")
    } catch { failure = error }
    throw failure.with(leftovers: tearDown(network))
  }

  // MARK: - Records that are dead for ever

  /// Removes another record's elements of our tables and its links.
  ///
  /// - Returns: The names of bridges that were left, because they may be the host's own.
  func forgetRecord(_ text: String) throws(NetworkError) -> [String] {
    let operation = "forget record \(text)"
    let others = try firewall.others()
    guard let id = RecordID(text), others.contains(id) else {
      let known = others.map(\.description).sorted().joined(separator: ", ")
      let isOwn = text == "\(firewall.id)"
      throw NetworkError(
        isOwn ? .refused : .notFound, operation: operation,
        reason: isOwn
          ? "it is this one; remove its containers and networks instead"
          : "no such record is on this host; " + (known.isEmpty ? "this one is alone" : "there are: \(known)"))
    }
    return try store.exclusively { () throws(NetworkError) -> [String] in
      let left = try deleteLinks(of: id)
      try deleteElements(of: id)
      let passing = try look { Array($0.networks.values.filter(mayPassHost)) }
      let needed = Set(passing.filter { !$0.isInternal }.flatMap(\.families))
      try switchOffUplinks(AddressFamily.allCases.filter { !needed.contains($0) })
      if passing.isEmpty { try firewall.leave(linkIndices()) }
      return left
    }
  }

  /// Deletes the links before the tables, which contain their names.
  private func deleteLinks(of id: RecordID) throws(NetworkError) -> [String] {
    func names(_ set: NftSet) throws(NetworkError) -> [String] {
      try firewall.foundIfAny(in: set).filter { $0.comment == id.comment }.map { element in
        String(decoding: element.key.prefix { $0 != 0 }, as: UTF8.self)
      }
    }
    let links = try linkIndices()
    let ports = try names(FirewallSets.ports) + names(FirewallSets.furtherPorts) + names(FirewallSets.furtherBridges)
    // An adopted bridge has a name of its own, and stays.
    let bridges = try names(FirewallSets.bridges).filter { links[$0] != nil }
    try all(ports + bridges.filter(Self.isBridgeName)) { (name) throws(NetworkError) in
      if let index = links[name] { try deleteIfAny(index) }
    }
    return bridges.filter { !Self.isBridgeName($0) }
  }

  private func deleteIfAny(_ index: Int32) throws(NetworkError) {
    do throws(NetworkError) { try host.links.delete(index: index) } catch { if error.code != .notFound { throw error } }
  }

  private static func isBridgeName(_ name: String) -> Bool {
    let isHexadecimal = { (byte: UInt8) in (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
    if name.hasPrefix("br-") { return name.utf8.count == 15 && name.utf8.dropFirst(3).allSatisfy(isHexadecimal) }
    return name.hasPrefix("cn") && name.utf8.count > 2
      && name.utf8.dropFirst(2).allSatisfy { (0x30...0x39).contains($0) }
  }

  private func deleteElements(of id: RecordID) throws(NetworkError) {
    for _ in 0..<1_000 {
      let generation = try firewall.generation()
      let content = try firewall.content()
      do throws(NetworkError) { return try firewall.remove(id, in: content, generation: generation) } catch {
        if error.kernel?.errno != Firewall.restart && error.code != .notFound { throw error }
      }
    }
    throw NetworkError(
      .inUse, operation: "forget record \(id)",
      reason: "other programs keep changing rules, perhaps that record itself; end its processes first")
  }
}
