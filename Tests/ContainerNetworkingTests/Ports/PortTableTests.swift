import Netlink
import NetworkPrimitives
import TestSupport
import Testing

@testable import ContainerNetworking

/// The table of published ports by itself: which ports are free, and the cost of finding one.
@Suite(.timeLimit(.minutes(10))) struct PortTableTests {
  private static let dual = places([.ipv4, .ipv6])

  private static func places(
    _ translated: Set<AddressFamily>, routed: Set<AddressFamily> = [], forwards: Bool = false
  ) -> PortPlaces {
    PortPlaces(translated: translated, routed: routed, forwards: forwards)
  }

  private static let ephemeral = EphemeralPorts(range: 32768...60999)

  private func pick(
    _ table: PortTable, _ texts: String..., places: PortPlaces = dual, ephemeral: EphemeralPorts = ephemeral
  ) throws -> [PublishedPort] {
    try table.pick(
      try texts.map { try PortMapping($0) }, for: "web", bindingAddress: nil, at: places, ephemeral: ephemeral)
  }

  /// Of any set of ports the first one missing, as a plain search finds it.
  @Test func bitmapFindsWhatAPlainSearchFinds() {
    var generator = SeededGenerator()
    for density in [0.0, 0.5, 0.99, 1.0] {
      var bitmap = PortBitmap()
      var plain: Set<UInt16> = []
      for port in UInt16.min ... .max where Double.random(in: 0..<1, using: &generator) < density {
        bitmap.insert(port)
        plain.insert(port)
      }
      for port in plain.sorted().shuffled(using: &generator).prefix(100) {
        bitmap.remove(port)
        plain.remove(port)
      }
      #expect(bitmap.count == plain.count)
      for _ in 0..<500 {
        let start = UInt16.random(in: .min ... .max, using: &generator)
        let end = UInt16.random(in: start ... .max, using: &generator)
        #expect(bitmap.contains(start) == plain.contains(start))
        #expect(bitmap.firstMissing(from: start, through: end) == (start...end).first { !plain.contains($0) })
      }
      #expect(bitmap.firstMissing(from: 2, through: 1) == nil)
    }
  }

  /// A table that is filled and emptied at random agrees with a plain list.
  @Test func tableIsAsAPlainList() throws {
    let texts = ["", "0.0.0.0:", "[::]:", "127.0.0.1:", "203.0.113.1:", "[2001:db8::1]:", "[::1]:"]
    let sets = [
      Self.dual, Self.places([.ipv4]), Self.places([.ipv6]), Self.places([.ipv4], forwards: true),
      Self.places([.ipv4], routed: [.ipv6]), Self.places([.ipv4, .ipv6], forwards: true),
    ]
    var table = PortTable()
    var plain: [PublishedPort] = []
    var generator = SeededGenerator()
    for _ in 0..<2_000 {
      if Bool.random(using: &generator), let index = plain.indices.randomElement(using: &generator) {
        table.release([plain.remove(at: index)], of: "web")
        continue
      }
      let start = try #require(texts.randomElement(using: &generator))
      let text = "\(start)9000-9009:80/\(Bool.random(using: &generator) ? "tcp" : "udp")"
      let places = try #require(sets.randomElement(using: &generator))
      let mapping = try PortMapping(text)
      let served = places.serve(mapping.hostAddress)
      var sample = PublishedPort(
        hostAddress: mapping.hostAddress, hostPort: 0, containerPort: 80, transport: mapping.transport,
        translated: served.translated, forwarded: served.forwarded.isEmpty ? nil : served.forwarded)
      let free = (UInt16(9000)...9009).first { port in
        !plain.contains { other in
          other.hostPort == port && other.transport == mapping.transport
            && other.addresses.contains { address in
              sample.addresses.contains { $0.includes(address) || address.includes($0) }
            }
        }
      }
      let picked = try? pick(table, text, places: places)
      #expect(picked?.first?.hostPort == free)
      guard let free else { continue }
      sample.hostPort = free
      #expect(picked == [sample])
      table.take([sample], for: "web", after: [])
      plain.append(sample)
    }
    table.release(plain, of: "web")
    #expect(try pick(table, "9000:80")[0].hostPort == 9000)
  }

  /// Families that a network has not, or that are routed, take nothing of the host's.
  @Test func familiesAreIndependent() throws {
    var table = PortTable()
    let four = try pick(table, "8080:80", places: Self.places([.ipv4]))
    #expect(four[0].addresses == [.any(.ipv4)])
    table.take(four, for: "four", after: [])
    let six = try pick(table, "[::]:8080:80", places: Self.dual)
    #expect(six[0].hostPort == 8080)
    table.take(six, for: "six", after: [])
    #expect(throws: NetworkError.self) { try pick(table, "8080:80", places: Self.places([.ipv6])) }
    let routed = try pick(table, "8080:80", "8081:80", places: Self.places([], routed: [.ipv4, .ipv6]))
    #expect(routed.flatMap(\.addresses) == [])
    table.take(routed, for: "routed", after: [])
    #expect(try pick(table, "8081:80").first?.hostPort == 8081)
    // With a forwarder the other family is taken, too.
    #expect(throws: NetworkError.self) { try pick(table, "8080:80", places: Self.places([.ipv4], forwards: true)) }
    let wide = try pick(table, "8082:80", places: Self.places([.ipv4], forwards: true))
    #expect(wide[0].translated == [.any(.ipv4)])
    #expect(wide[0].forwarded == [.any(.ipv6)])
    let whole = try pick(table, "8082:80", places: Self.places([.ipv4, .ipv6], forwards: true))
    #expect(whole[0].forwarded == [.loopback(.ipv6)])
    #expect(whole[0].addresses == [.any(.ipv4), .any(.ipv6)])
  }

  /// Of two that share a number, each is released as itself.
  @Test func whoReleasesLosesOnlyTheirs() throws {
    var table = PortTable()
    let ports = try pick(table, "8080:80")
    // Two processes' changes of one record may be read in either order.
    table.take(ports, for: "new", after: [])
    table.take(ports, for: "old", after: [])
    table.release(ports, of: "old")
    #expect(table.holder(8080, .tcp, at: [.any(.ipv4)]) == "new")
    table.release(ports, of: "new")
    #expect(table.holder(8080, .tcp, at: [.any(.ipv4), .any(.ipv6)]) == nil)
  }

  /// Equal mappings are placed in their written order, and a second pick gives the same places.
  @Test func equalsKeepTheirOrder() throws {
    let texts = (0..<40).map { "\(9000 + ($0 * 17) % 40):80" }
    let mappings = try texts.map { try PortMapping($0) }
    let table = PortTable()
    let first = try table.pick(mappings, for: "web", bindingAddress: nil, at: Self.dual, ephemeral: Self.ephemeral)
    #expect(first.map(\.hostPort) == mappings.compactMap { $0.hostPorts?.lower })
    var taken = table
    taken.take(first, for: "web", after: [])
    let again = try taken.pick(
      mappings, for: "web", bindingAddress: nil, at: Self.dual, ephemeral: Self.ephemeral, inPlaceOf: first)
    #expect(again == first)
  }

  /// Many mappings are compared only with the ports of the same container port.
  @Test func whatIsMeantIsFoundByItsTarget() throws {
    let ports = (UInt16(1)...8_000).map { port in
      PublishedPort(hostAddress: nil, hostPort: port &+ 20_000, containerPort: port, transport: .udp)
    }
    var generator = SeededGenerator()
    var index = PortIndex(ports)
    try index.mean(
      ports.shuffled(using: &generator).prefix(7_000).map { try PortMapping("\($0.containerPort)/udp") }, "release")
    #expect(index.looks == 7_000)
    let (meant, others) = index.split
    #expect(meant.count == 7_000 && others.count == 1_000)
    #expect((meant + others).sorted { $0.hostPort < $1.hostPort } == ports)
    #expect(meant == meant.sorted { $0.hostPort < $1.hostPort })
    let error = #expect(throws: NetworkError.self) { try index.mean([PortMapping("80")], "release") }
    #expect(error?.code == .notFound)
  }

  /// A port for both protocols is as a plain search has it: the first of the range that is free for both, else each its own.
  @Test func bothProtocolsAreAsAPlainSearchHasThem() throws {
    var generator = SeededGenerator()
    for _ in 0..<2_000 {
      var held: Set<PortBinding> = []
      for port in UInt16(9000)...9003 {
        for transport in [TransportProtocol.tcp, .udp] where Int.random(in: 0..<3, using: &generator) > 0 {
          held.insert(
            PortBinding(.any(AddressFamily.allCases.randomElement(using: &generator) ?? .ipv4), port, transport))
        }
      }
      let isFree = { (port: UInt16, transport: TransportProtocol) in
        !held.contains { $0.port == port && $0.transport == transport }
      }
      let shared = (UInt16(9000)...9003).first { isFree($0, .tcp) && isFree($0, .udp) }
      let own = [TransportProtocol.tcp, .udp].compactMap { transport in
        (UInt16(9000)...9003).first { isFree($0, transport) }
      }
      let expected = shared.map { [$0, $0] } ?? (own.count == 2 ? own : nil)
      let picked = try? PortTable().pick(
        [PortMapping("9000-9003:80/udp"), PortMapping("9000-9003:80")], for: "web", bindingAddress: nil, at: Self.dual,
        ephemeral: Self.ephemeral, avoiding: held)
      #expect(picked?.map(\.hostPort) == expected, "\(held)")
    }
  }

  /// With any number of ports taken, one more takes about as long: within ten times, where a search would take ten
  /// thousand.
  @Test func tenThousandPortsCostAsFew() throws {
    func seconds(_ count: Int) throws -> (nanoseconds: Double, next: UInt16) {
      var table = PortTable()
      let range = EphemeralPorts(range: 20000...UInt16(20000 + count))
      for port in 0..<count {
        let address: IPAddress? = port % 2 == 0 ? nil : try IPAddress("203.0.113.1")
        table.take(
          [
            PublishedPort(
              hostAddress: address, hostPort: UInt16(20000 + port), containerPort: 80, transport: .tcp,
              isEphemeral: true,
              translated: address.map { [$0] } ?? [.any(.ipv4), .any(.ipv6)])
          ], for: "c\(port)", after: [])
      }
      // The only one left is the last; the search begins at the first.
      var wrapped = table
      wrapped.goOn(from: 20000)
      let mapping = [try PortMapping("80")]
      var fastest = Duration.seconds(1)
      var next: UInt16 = 0
      for _ in 0..<50 {
        let time = try ContinuousClock().measure {
          next = try wrapped.pick(mapping, for: "web", bindingAddress: nil, at: Self.dual, ephemeral: range)[0].hostPort
        }
        fastest = min(fastest, time)
      }
      return (Double(fastest.components.attoseconds) / 1e9, next)
    }
    let few = try seconds(10)
    let many = try seconds(10_000)
    #expect(few.next == 20010)
    #expect(many.next == 30000)
    print("to pick the last free port of 10: \(few.nanoseconds) ns, of 10,000: \(many.nanoseconds) ns")
    #expect(many.nanoseconds < max(few.nanoseconds, 2_000) * 10)
  }
}
