import ContainerNetworking
import Glibc
import Playground
import SystemPackage
import Testing

/// Two thousand containers on one network, with as many ports to a bridge as the kernel gives.
@Suite(.timeLimit(.minutes(10))) struct DensityTests {
  /// A container, and its sockets: each sends from its own addresses, and hears what is sent there.
  private struct Member {
    var sandbox: Sandbox
    var sockets: [AddressFamily: FileDescriptor]
    var bridge: Int

    func address(_ family: AddressFamily) throws -> IPAddress {
      try #require(sandbox.endpoints[0].address(family)).address
    }
  }

  @Test func twoThousandReachEachOther() async throws {
    let world = try Playground(isDualStack: true)
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("net", options: try NetworkOptions(["10.60.0.0/16", "fd00:60::/64"]))
    let clock = ContinuousClock()
    var sandboxes: [Sandbox] = []
    let attaching = try await clock.measure {
      for start in stride(from: 0, to: 2_000, by: 100) {
        let requests = (start..<start + 100).map { AttachRequest("c\($0)", to: .network("net")) }
        sandboxes += try await controller.attach(requests).map { try $0.get() }
      }
    }
    let network = try await controller.network("net")
    let further = (network.furtherBridges ?? []).map(\.name)
    let places = sandboxes.map { sandbox in
      sandbox.endpoints[0].bridge.flatMap { further.firstIndex(of: $0) }.map { $0 + 1 } ?? 0
    }
    let bridges = (0...further.count).map { number in places.indices.filter { places[$0] == number } }
    #expect(bridges.map(\.count) == [959, 1_022, 19])

    var members: [Member] = []
    defer { for member in members { for socket in member.sockets.values { try? socket.close() } } }
    for (sandbox, place) in zip(sandboxes, places) {
      var member = Member(sandbox: sandbox, sockets: [:], bridge: place)
      for family in AddressFamily.allCases {
        let address = try #require(sandbox.endpoints[0].address(family)).address
        member.sockets[family] = try sandbox.namespace.bindSocket(
          to: TransportAddress(address, 7_777, .udp))
      }
      members.append(member)
    }
    // Each with the next, and with one on every bridge, its own included; there and back, by both families. In between what
    // was found of neighbours is forgotten: the kernel has room for 1,024 of a family, in all namespaces together.
    var pairs: [(Int, Int)] = []
    for from in members.indices {
      pairs.append((from, (from + 1) % members.count))
      for bridge in bridges {
        let to = bridge[(from + 1) % bridge.count]
        if to != from, to != pairs[pairs.count - 1].1 { pairs.append((from, to)) }
      }
    }
    var unreached: [String] = []
    let reaching = try clock.measure {
      for start in stride(from: 0, to: pairs.count, by: 100) {
        unreached += try converse(Array(pairs[start..<min(start + 100, pairs.count)]), members)
      }
    }
    #expect(unreached == [])
    #expect(try world.pings("10.60.0.1", from: sandboxes[0].namespace, within: 5))
    #expect(try world.pings("10.60.0.1", from: sandboxes[1_999].namespace, within: 5))
    let leaving = try await clock.measure { try await controller.removeAll() }
    #expect(try world.host.links.list().map(\.name).sorted() == ["eth0", "lo"])
    print(
      "2,000 containers on \(bridges.count) bridges: attached in \(attaching), \(pairs.count) pairs by two families in "
        + "\(reaching), taken away in \(leaving)")
  }

  /// Has the first of each pair ask and the second answer.
  ///
  /// - Returns: Who did not hear whom.
  private func converse(_ pairs: [(Int, Int)], _ members: [Member]) throws -> [String] {
    var unreached: [String] = []
    for family in AddressFamily.allCases {
      let there = try deliver(pairs, members, family)
      unreached += there.map { "c\(pairs[$0].0) → c\(pairs[$0].1) by \(family)" }
      let back = pairs.indices.filter { !there.contains($0) }.map { (pairs[$0].1, pairs[$0].0) }
      unreached += try deliver(back, members, family).map { "c\(back[$0].0) → c\(back[$0].1) by \(family)" }
    }
    for index in Set(pairs.flatMap { [$0.0, $0.1] }) {
      let namespace = members[index].sandbox.namespace
      for neighbor in try namespace.neighbors.list() where neighbor.state != .noARP {
        try? namespace.neighbors.delete(neighbor.address, on: neighbor.link)
      }
    }
    return unreached
  }

  /// Sends a datagram from the first of each pair to the second.
  ///
  /// - Returns: The pairs of which it has not come within five seconds.
  private func deliver(
    _ pairs: [(Int, Int)], _ members: [Member], _ family: AddressFamily
  ) throws -> [Int] {
    var waiting = Set(pairs.indices)
    for (number, (from, to)) in pairs.enumerated() {
      let socket = try #require(members[from].sockets[family])
      try Datagram.send(UInt32(number), from: socket, to: try members[to].address(family))
    }
    let deadline = ContinuousClock.now + .seconds(5)
    while !waiting.isEmpty, ContinuousClock.now < deadline {
      var hasHeard = false
      for number in waiting {
        let to = pairs[number].1
        let socket = try #require(members[to].sockets[family])
        while let heard = Datagram.receive(from: socket) {
          hasHeard = true
          let pair = Int(heard.number)
          guard pairs.indices.contains(pair), pairs[pair].1 == to else { continue }
          #expect(heard.source == (try members[pairs[pair].0].address(family)))
          waiting.remove(pair)
        }
      }
      if !hasHeard { usleep(1_000) }
    }
    return waiting.sorted()
  }
}

/// A number in a datagram.
private enum Datagram {
  /// - Throws: The kernel's refusal.
  static func send(_ number: UInt32, from socket: FileDescriptor, to address: IPAddress) throws {
    var bytes = number
    let size = MemoryLayout.size(ofValue: bytes)
    let place = socketAddress(address, port: 7_777)
    let sent = unsafe place.withUnsafeBytes { place in
      unsafe sendto(
        socket.rawValue, &bytes, size, 0, place.assumingMemoryBound(to: sockaddr.self).baseAddress,
        socklen_t(place.count))
    }
    guard sent == size else { throw Errno(rawValue: errno) }
  }

  /// What has come; nil when nothing has.
  static func receive(from socket: FileDescriptor) -> (number: UInt32, source: IPAddress?)? {
    var number: UInt32 = 0
    var place = [UInt8](repeating: 0, count: 28)
    var length = socklen_t(place.count)
    let count = unsafe place.withUnsafeMutableBytes { place in
      unsafe recvfrom(
        socket.rawValue, &number, MemoryLayout<UInt32>.size, 0,
        place.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
    }
    guard count == MemoryLayout<UInt32>.size else { return nil }
    return (number, length == 16 ? IPAddress(bytes: place[4..<8]) : IPAddress(bytes: place[8..<24]))
  }

  /// `struct sockaddr_in`, `struct sockaddr_in6`.
  private static func socketAddress(_ address: IPAddress, port: UInt16) -> [UInt8] {
    let family = UInt16(address.family == .ipv4 ? AF_INET : AF_INET6)
    let start = [UInt8(truncatingIfNeeded: family), 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
    return address.family == .ipv4
      ? start + address.bytes + [UInt8](repeating: 0, count: 8)
      : start + [0, 0, 0, 0] + address.bytes + [0, 0, 0, 0]
  }
}
