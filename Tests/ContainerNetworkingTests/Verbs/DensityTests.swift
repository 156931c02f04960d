import ContainerNetworking
import Glibc
import Playground
import SystemPackage
import Testing

/// Two thousand containers on one network, with Linux's full number of ports to a bridge.
@Suite(.timeLimit(.minutes(10))) struct DensityTests {
  /// A sender: a container, or the host at the gateway.
  private struct Member {
    var namespace: NetworkNamespace
    var address: IPAddress
    var macAddress: MACAddress
    var link: Int32
    var socket: FileDescriptor

    init(_ sandbox: Sandbox) throws {
      namespace = sandbox.namespace
      address = sandbox.endpoints[0].address.address
      macAddress = sandbox.endpoints[0].macAddress
      link = try namespace.links.get("eth0").index
      socket = try namespace.bindSocket(to: TransportAddress(address, 7_777, .udp))
    }

    init(_ host: NetworkNamespace, gatewayOf network: NetworkRecord) throws {
      namespace = host
      let bridge = try host.links.get("\(try #require(network.bridge))")
      address = network.gateway
      macAddress = try #require(bridge.macAddress)
      link = bridge.index
      socket = try host.bindSocket(to: TransportAddress(address, 7_777, .udp))
    }
  }

  @Test func twoThousandReachEachOther() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("net", options: try NetworkOptions(["10.60.0.0/16"]))
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
    #expect(bridges.map(\.count) == [448, 511, 511, 511, 19])

    var members: [Member] = []
    defer { for member in members { try? member.socket.close() } }
    for sandbox in sandboxes { members.append(try Member(sandbox)) }
    let host = try Member(world.host, gatewayOf: network)
    defer { try? host.socket.close() }
    // With the next, and with one on every bridge, its own included.
    var pairs: [(Int, Int)] = []
    for from in members.indices {
      pairs.append((from, (from + 1) % members.count))
      for bridge in bridges {
        let to = bridge[(from + 1) % bridge.count]
        if to != from, to != (from + 1) % members.count { pairs.append((from, to)) }
      }
    }
    var unreached: [String] = []
    let reaching = try clock.measure {
      for (number, member) in members.enumerated() where unreached.count < 20 {
        if try !Self.converse(member, host) { unreached.append("c\(number) and the gateway") }
      }
      for (from, to) in pairs where unreached.count < 20 {
        if try !Self.converse(members[from], members[to]) { unreached.append("c\(from) and c\(to)") }
      }
    }
    #expect(unreached == [])
    // With room for one more: on the first bridge, and on the next.
    var costs: [Duration] = []
    for (place, bridge) in [(0, nil), (448, further[0])] {
      try await controller.detach("c\(place)")
      var times: [Duration] = []
      for _ in 0..<31 {
        let began = clock.now
        let sandbox = try await controller.attach("probe", to: .network("net"))
        times.append(clock.now - began)
        #expect(sandbox.endpoints[0].bridge == bridge)
        try await controller.detach("probe")
      }
      costs.append(times.sorted()[15])
      if place == 0 { try await controller.attach("again", to: .network("net")) }
    }
    let leaving = try await clock.measure { try await controller.removeAll() }
    #expect(try world.host.links.list().map(\.name).sorted() == ["eth0", "lo"])
    print(
      "2,000 containers on \(bridges.count) bridges: attached in \(attaching); \(pairs.count) pairs, and all with the gateway, "
        + "in \(reaching); one more on the first in \(costs[0]), on the next in \(costs[1]); taken away in \(leaving)")
  }

  /// A datagram there and one back.
  ///
  /// Each is told the other's hardware address, as a neighbour that is yet to be verified, and forgets it afterwards: the
  /// kernel's room for neighbours, 1,024 in all namespaces together, and for what is flooded, 1,000 packets, is the
  /// machine's, and is not to be changed here.
  private static func converse(_ one: Member, _ other: Member) throws -> Bool {
    for (own, neighbor) in [(one, other), (other, one)] {
      var known = Neighbor(neighbor.address, macAddress: neighbor.macAddress, link: own.link)
      known.state = .stale
      try own.namespace.neighbors.replace(known)
    }
    defer {
      try? one.namespace.neighbors.delete(other.address, on: one.link)
      try? other.namespace.neighbors.delete(one.address, on: other.link)
    }
    return try deliver(from: one, to: other) && deliver(from: other, to: one)
  }

  /// Sends until received, up to fifty times in five seconds or more.
  private static func deliver(from one: Member, to other: Member) throws -> Bool {
    for _ in 0..<50 {
      let number = UInt32.random(in: 0 ... .max)
      try Datagram.send(number, from: one.socket, to: other.address)
      for _ in 0..<1_000 {
        while let heard = Datagram.receive(from: other.socket) {
          if heard.number == number, heard.source == one.address { return true }
        }
        usleep(100)
      }
    }
    return false
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

  /// The received datagram; nil for none.
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
