import ContainerNetworking
import ContainerNetworkingTestKit
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Streams of changes: the same on every kernel.
@Suite(.timeLimit(.minutes(5))) struct ChangeContract {
  /// The changes up to the removal of a link called `end`, which is made and deleted for that.
  private func changes(
    of kinds: NetworkChange.Kinds, in namespace: NetworkNamespace, _ body: () throws -> Void
  ) async throws -> [NetworkChange] {
    let stream = try namespace.changes(of: kinds.union(.links))
    try body()
    let end = try namespace.links.createBridge(InterfaceName("end"))
    try namespace.links.delete(index: end.index)
    var changes: [NetworkChange] = []
    for try await change in stream {
      if case .linkRemoved(let link) = change, link.name == "end" { break }
      changes.append(change)
    }
    return changes
  }

  /// Whether the wanted changes come in that order, with any others in between.
  private func comes(_ wanted: [(NetworkChange) -> Bool], in changes: [NetworkChange]) -> Bool {
    var rest = changes[...]
    for isWanted in wanted {
      guard let index = rest.firstIndex(where: isWanted) else { return false }
      rest = rest[(index + 1)...]
    }
    return true
  }

  @Test(arguments: KernelUnderTest.available) func links(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let seen = try await changes(of: .links, in: namespace) {
      let bridge = try namespace.links.createBridge(InterfaceName("br0"))
      try namespace.links.setUp(index: bridge.index)
      let ends = (VethEnd(try InterfaceName("a"), master: bridge.index), VethEnd(try InterfaceName("b")))
      let a = try namespace.links.createVeth(ends.0, peer: ends.1)
      var leave = LinkChange()
      leave.master = 0
      try namespace.links.change(a.index, leave)
      try namespace.links.delete(index: a.index)
      try namespace.links.delete(index: bridge.index)
    }
    func changed(_ name: String, _ isAsWanted: @escaping (Link) -> Bool = { _ in true }) -> (NetworkChange) -> Bool {
      { if case .linkChanged(let link) = $0 { link.name == name && isAsWanted(link) } else { false } }
    }
    func removed(_ name: String) -> (NetworkChange) -> Bool {
      { if case .linkRemoved(let link) = $0 { link.name == name } else { false } }
    }
    #expect(comes([changed("br0") { !$0.flags.contains(.up) }, changed("br0") { $0.flags.contains(.up) }], in: seen))
    #expect(comes([changed("a") { $0.master != nil }, changed("a") { $0.master == nil }, removed("a")], in: seen))
    #expect(comes([changed("b"), removed("b"), removed("br0")], in: seen))
    // A port that leaves its bridge is not a removed link.
    #expect(seen.filter(removed("a")).count == 1)
  }

  @Test(arguments: KernelUnderTest.available) func addressesAndRoutes(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    // A link with carrier: without one, an IPv6 address is not reported.
    let pair = try namespace.links.createVeth(VethEnd(InterfaceName("a")), peer: VethEnd(InterfaceName("b")))
    let link = pair.index
    for index in [link, try #require(pair.peer)] { try namespace.links.setUp(index: index) }
    #expect(try await eventually { try namespace.links.get(link).operationalState == 6 })
    let addresses = try ["10.0.0.1/24", "fd00::1/64"].map { try InterfaceAddress($0) }
    let route = Route(to: try Subnet("10.9.0.0/16"), via: try IPAddress("10.0.0.2"), link: link)
    let hole = Route(to: try Subnet("fd09::/48"), metric: 5, kind: .blackhole)
    var events = try namespace.changes(of: [.addresses, .routes]).makeAsyncIterator()
    var seen: [NetworkChange] = []
    /// Reads until a change has come; the rest is kept for later checks.
    func read(until isWanted: (NetworkChange) -> Bool) async throws {
      while let change = try await events.next() {
        seen.append(change)
        if isWanted(change) { return }
      }
    }
    for address in addresses {
      try namespace.addresses.add(address, to: link)
      // A work queue of the kernel reports an IPv6 address, if it still exists by then.
      try await read { change in
        if case .addressAdded(let added) = change { added.address == address && added.link == link } else { false }
      }
    }
    for route in [route, hole] { try namespace.routes.add(route) }
    for route in [route, hole] { try namespace.routes.delete(route) }
    for address in addresses { try namespace.addresses.remove(address, from: link) }
    try await read { change in
      if case .addressRemoved(let removed) = change { removed.address == addresses[1] } else { false }
    }
    try await read { change in
      if case .routeRemoved(let removed) = change { removed.destination == addresses[1].subnet } else { false }
    }
    for address in addresses {
      let isRemoved = { (change: NetworkChange) in
        if case .addressRemoved(let removed) = change { removed.address == address } else { false }
      }
      #expect(seen.contains(where: isRemoved))
      let brings = { (change: NetworkChange) in
        if case .routeAdded(let route) = change {
          route.destination == address.subnet && route.link == link
        } else {
          false
        }
      }
      let takes = { (change: NetworkChange) in
        if case .routeRemoved(let route) = change { route.destination == address.subnet } else { false }
      }
      #expect(comes([brings, takes], in: seen))
    }
    #expect(comes([{ $0 == .routeAdded(route) }, { $0 == .routeRemoved(route) }], in: seen))
    // An IPv6 route without a link is on `lo`.
    let isHole = { (change: NetworkChange) in
      if case .routeAdded(let route) = change {
        route.destination == hole.destination && route.kind == .blackhole
      } else {
        false
      }
    }
    #expect(comes([isHole], in: seen))
  }

  @Test(arguments: KernelUnderTest.available) func neighbors(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let link = try namespace.links.createBridge(InterfaceName("br0")).index
    try namespace.links.setUp(index: link)
    let connection = try namespace.connection(.route)
    let first = Neighbor(try IPAddress("10.0.0.2"), macAddress: try MACAddress("02:00:00:00:00:02"), link: link)
    var second = first
    second.macAddress = try MACAddress("02:00:00:00:00:03")
    let seen = try await changes(of: .neighbors, in: namespace) {
      try connection.execute(NeighborRequests.add(first))
      try connection.execute(NeighborRequests.replace(second))
      try connection.execute(NeighborRequests.delete(second))
    }
    let isRemoved = { (change: NetworkChange) in
      if case .neighborRemoved(let neighbor) = change { neighbor.address == first.address } else { false }
    }
    #expect(comes([{ $0 == .neighborChanged(first) }, { $0 == .neighborChanged(second) }, isRemoved], in: seen))
  }

  @Test(arguments: KernelUnderTest.available) func onlyWhatWasAskedFor(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let link = try namespace.links.createBridge(InterfaceName("br0")).index
    let stream = try namespace.changes(of: .addresses)
    try namespace.links.setUp(index: link)
    let address = try InterfaceAddress("10.0.0.1/24")
    try namespace.addresses.add(address, to: link)
    let first = try await stream.first { change in
      if case .addressAdded(let added) = change { added.address.address.family == .ipv4 } else { true }
    }
    guard case .addressAdded(let added)? = first else { throw Unexpected(first) }
    #expect(added.address == address)
  }

  @Test(arguments: KernelUnderTest.available) func ruleset(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let connection = try namespace.connection(.netfilter)
    let table = NftTable(family: .inet, name: "t")
    let chain = NftChain(table: table, name: "c")
    let set = NftSet(table: table, name: "s", key: [.port])
    let stream = try namespace.rulesetChanges()
    var first = NftTransaction()
    try first.add(table, exclusive: true)
    try first.add(chain)
    try first.add(set)
    try first.add([NftElement(.port(1)), NftElement(.port(2), comment: "the first")], to: set)
    try first.add(NftRule(chain, [.verdict(.accept)]))
    try first.commit(over: connection)
    var second = NftTransaction()
    try second.delete([NftElement(.port(2))], from: set)
    try second.commit(over: connection)
    var third = NftTransaction()
    third.delete(table)
    try third.commit(over: connection)

    var generations: [RulesetChange.Generation] = []
    var changes: [[RulesetChange]] = [[]]
    for try await change in stream {
      if case .generation(let generation) = change {
        generations.append(generation)
        if generations.count == 3 { break }
        changes.append([])
      } else {
        changes[changes.count - 1].append(change)
      }
    }
    #expect(generations.map(\.number) == (0..<3).map { generations[0].number + $0 })
    #expect(generations.allSatisfy { $0.processID > 0 && !$0.processName.isEmpty && $0.processName.utf8.count < 16 })

    func elements(_ changes: [RulesetChange]) -> (added: Int, removed: Int) {
      changes.reduce(into: (0, 0)) { sum, change in
        switch change {
        case .added(.elements(table, "s", let count, let comments)):
          sum.0 += count
          #expect(comments.isSubset(of: ["", "the first"]))
        case .removed(.elements(table, "s", let count, ["the first"])): sum.1 += count
        default: break
        }
      }
    }
    #expect(elements(changes[0]) == (2, 0))
    #expect(elements(changes[1]) == (0, 1))
    let made: [RulesetChange] = [
      .added(.table(table)), .added(.chain(table: table, name: "c")), .added(.set(table: table, name: "s")),
    ]
    #expect(Set(changes[0]).isSuperset(of: made))
    let rules = changes[0].filter { if case .added(.rule(table, "c", let handle)) = $0 { handle > 0 } else { false } }
    #expect(rules.count == 1)
    let gone: [RulesetChange] = [
      .removed(.table(table)), .removed(.chain(table: table, name: "c")), .removed(.set(table: table, name: "s")),
    ]
    #expect(Set(changes[2]).isSuperset(of: gone))
    #expect(changes[2].contains { if case .removed(.rule(table, "c", _)) = $0 { true } else { false } })
  }

  // MARK: - Loss and ends

  @Test func whatTheKernelDropsIsSaid() async throws {
    let kernel = SimulatedKernel()
    let namespace = try NetworkNamespace.create(on: kernel)
    let stream = try namespace.changes(of: .links)
    kernel.loseEvents()
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    var iterator = stream.makeAsyncIterator()
    #expect(try await iterator.next() == .lost)
    try namespace.links.setUp(index: bridge.index)
    guard case .linkChanged(let link)? = try await iterator.next() else { throw Unexpected(nil) }
    #expect(link.name == "br0")
  }

  @Test(arguments: KernelUnderTest.available) func aSlowReaderIsToldOfItsLoss(_ kernel: KernelUnderTest) async throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let stream = try namespace.changes(of: .links, capacity: 8)
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    for number in 0..<100 {
      var change = LinkChange()
      change.mtu = 1280 + UInt32(number)
      try namespace.links.change(bridge.index, change)
    }
    try namespace.links.delete(index: bridge.index)
    var changes: [NetworkChange] = []
    for try await change in stream {
      changes.append(change)
      if case .linkRemoved = change { break }
    }
    #expect(changes.contains(.lost))
    #expect(changes.count < 100)
  }

  @Test(arguments: KernelUnderTest.available) func whateverEndsItEndsItsThread(_ kernel: KernelUnderTest) async throws {
    for ending in Ending.allCases {
      let watched = WatchedKernel(kernel.make())
      let namespace = try NetworkNamespace.create(on: watched)
      watched.watch()
      var stream: EventStream<NetworkChange>? = try namespace.changes(of: .links)
      let name = try #require(watched.threadName)
      // Only the real kernel's port ids are this socket's alone.
      let isNamed = { kernel == .linux ? try ProcessThreads.names().contains(name) : false }
      #expect(try isNamed() == (kernel == .linux))
      switch ending {
      case .finish:
        stream?.finish()
        #expect(try await stream?.first { _ in true } == nil)
      case .cancel:
        let reader = Task { [stream] in
          var count = 0
          if let stream { for try await _ in stream { count += 1 } }
          return count
        }
        try await Task.sleep(for: .milliseconds(20))
        reader.cancel()
        #expect(try await reader.value == 0)
      case .break:
        try namespace.links.createBridge(InterfaceName("br0"))
        if let stream { for try await _ in stream { break } }
      case .forget: stream = nil
      }
      // The thread holds the socket, and lets go of it when it ends.
      if ending != .forget { stream = nil }
      _ = try await eventually { try !watched.isSocketAlive && !isNamed() }
      #expect(!watched.isSocketAlive, "after \(ending)")
      #expect(try !isNamed(), "after \(ending)")
    }
  }

  private enum Ending: CaseIterable { case finish, cancel, `break`, forget }
}

/// The unexpected event.
struct Unexpected: Error {
  let change: NetworkChange?
  init(_ change: NetworkChange?) { self.change = change }
}
