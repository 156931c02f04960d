import ContainerNetworking
import Playground
import Testing

/// The receivers of a new container's announcement; no neighbour keeps a stale MAC address.
@Suite(.timeLimit(.minutes(10))) struct AnnouncementTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
  }

  private func attach(
    _ container: String, to network: String, _ addresses: [String] = [], _ mac: String? = nil
  ) async throws -> Sandbox {
    let options = EndpointOptions(
      addresses: try addresses.map { try IPAddress($0) }, macAddress: try mac.map { try MACAddress($0) })
    return try await controller.attach(container, to: .network(network), options: AttachOptions(endpoint: options))
  }

  private static let wrong = "02:00:00:00:00:99"

  /// Gives a namespace a neighbour entry with a MAC address that no container has, as of a removed one.
  private func mislead(_ namespace: NetworkNamespace, _ link: String, _ address: String) throws {
    var neighbor = Neighbor(
      try IPAddress(address), macAddress: try MACAddress(Self.wrong), link: try namespace.links.get(link).index)
    neighbor.state = .stale
    try namespace.neighbors.replace(neighbor)
  }

  private func known(_ address: String, _ namespace: NetworkNamespace, _ link: String) throws -> String {
    let neighbor = try namespace.neighbors.get(IPAddress(address), on: namespace.links.get(link).index)
    return neighbor.macAddress.map { "\($0)" } ?? "-"
  }

  private func suppresses(_ sandbox: Sandbox) throws -> Bool? {
    let port = try #require(sandbox.endpoints[0].hostInterface)
    return try world.host.links.get("\(port)").bridgePort?.suppressesNeighbors
  }

  /// Neighbours whose entries cannot be stale are not notified; the host is.
  @Test(.timeLimit(.minutes(5))) func theHostAloneHearsOfWhatNeighborsCannotGetWrong() async throws {
    let network = try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    let bridge = try #require(network.bridge).description
    let one = try await attach("one", to: "net")
    try mislead(one.namespace, "eth0", "10.60.0.9")
    try mislead(world.host, bridge, "10.60.0.9")
    let two = try await attach("two", to: "net", ["10.60.0.9"])
    #expect(try known("10.60.0.9", world.host, bridge) == "02:42:0a:3c:00:09")
    #expect(try known("10.60.0.9", one.namespace, "eth0") == Self.wrong)
    #expect(try suppresses(one) == true && suppresses(two) == true)
    #expect(two.endpoints[0].announcesToAll == nil)
    // Its later frames are for all, as always.
    try world.send(
      [
        Frame(
          from: two.endpoints[0].macAddress, type: 0x0806, Frame.arp(from: two.endpoints[0].macAddress, "10.60.0.9", 1))
      ],
      by: "eth0", in: two.namespace)
    #expect(try known("10.60.0.9", one.namespace, "eth0") == "02:42:0a:3c:00:09")
    try await controller.removeAll()
  }

  /// The next holder of an address with another MAC address receives the first packet of neighbours with the old entry.
  @Test(.timeLimit(.minutes(5))) func anAddressThatMovesIsHeardOfByAll() async throws {
    let network = try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let bridge = try #require(network.bridge).description
    let one = try await attach("one", to: "net")
    let addresses = ["10.60.0.9", "fd00:60::9"]
    let (derived, chosen, third) = ("02:42:0a:3c:00:09", "02:aa:bb:cc:dd:ee", "02:aa:bb:cc:dd:ff")
    for (turn, mac) in [nil, chosen, nil, third, chosen, nil, nil].enumerated() {
      let other = try await attach("other", to: "net", addresses, mac)
      #expect(try suppresses(other) == true)
      // An IPv6 address that is asked for may have been anybody's.
      #expect(other.endpoints[0].announcesToAll == true)
      for address in addresses {
        // One echo request, one second.
        #expect(try world.pings(address, from: one.namespace), "\(address), turn \(turn)")
        #expect(try known(address, one.namespace, "eth0") == mac ?? derived, "\(address), turn \(turn)")
        #expect(try world.pings(address, from: world.host), "\(address), turn \(turn)")
        #expect(try known(address, world.host, bridge) == mac ?? derived, "\(address), turn \(turn)")
      }
      try await controller.detach("other")
    }
    // The last holder had the derived MAC address, and has announced it.
    #expect(try await controller.network("net").movedAddresses?.map { "\($0)" } == [addresses[1]])
    let four = try await attach("other", to: "net", [addresses[0]])
    #expect(four.endpoints[0].announcesToAll == nil)
    try await controller.detach("other")
    // A container with another address is no successor.
    #expect(try await attach("other", to: "net").endpoints[0].announcesToAll == nil)
    try await controller.removeAll()
  }

  /// An IPv6 address that a container keeps while its IPv4 address, and its hardware address with it, becomes another's.
  @Test(.timeLimit(.minutes(5))) func anIPv6AddressThatIsKeptIsHeardOf() async throws {
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let one = try await attach("one", to: "net")
    let before = try await attach("other", to: "net", ["fd00:60::9"])
    #expect(try world.pings("fd00:60::9", from: one.namespace))
    #expect(try known("fd00:60::9", one.namespace, "eth0") == "\(before.endpoints[0].macAddress)")
    try await controller.stop("other")
    _ = try await attach("filler", to: "net", ["\(before.endpoints[0].address.address)"])
    let other = try await controller.attach("other", to: .network("net"))
    let mac = other.endpoints[0].macAddress
    #expect(
      other.endpoints[0].addresses[1].address.description == "fd00:60::9" && mac != before.endpoints[0].macAddress)
    // One echo request, one second.
    #expect(try world.pings("fd00:60::9", from: one.namespace))
    #expect(try known("fd00:60::9", one.namespace, "eth0") == "\(mac)")
    // It is given to another when its container is gone for good.
    try await controller.detach("other")
    let next = try await attach("next", to: "net", ["fd00:60::9"])
    #expect(try world.pings("fd00:60::9", from: one.namespace))
    #expect(try known("fd00:60::9", one.namespace, "eth0") == "\(next.endpoints[0].macAddress)")
    try await controller.removeAll()
  }

  /// In a small IPv6 pool each address is soon reused, with any IPv4 address.
  @Test(.timeLimit(.minutes(5))) func ofFewIPv6AddressesAllAreHeardOf() async throws {
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/125"]))
    let one = try await attach("one", to: "net", ["10.60.0.100"])
    for turn in 0..<8 {
      let other = try await attach("other", to: "net")
      let address = "\(other.endpoints[0].addresses[1].address)"
      #expect(try world.pings(address, from: one.namespace), "turn \(turn)")
      #expect(try known(address, one.namespace, "eth0") == "\(other.endpoints[0].macAddress)", "turn \(turn)")
      try await controller.detach("other")
    }
    #expect(try await controller.network("net").movedAddresses == nil)
    try await controller.removeAll()
  }

  /// Addresses used with underived MAC addresses are remembered neither forever nor without limit.
  @Test(.timeLimit(.minutes(5))) func movedAddressesAreForgotten() async throws {
    let store = MemoryStore()
    let controller = try await NetworkController(host: world.host, store: store)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/16"]))
    let mac = EndpointOptions(macAddress: try MACAddress("02:aa:bb:cc:dd:ee"))
    let moved = { () async throws in try await controller.network("net").movedAddresses?.count }
    func come(_ options: EndpointOptions) async throws -> Endpoint {
      let sandbox = try await controller.attach("c", to: .network("net"), options: AttachOptions(endpoint: options))
      try await controller.detach("c")
      return sandbox.endpoints[0]
    }
    for _ in 0..<3 { _ = try await come(mac) }
    #expect(try await moved() == 3)
    // A holder with its own MAC address announces itself to all.
    for (number, left) in [(2, 2), (3, 1), (2, 1), (4, nil)] {
      let endpoint = try await come(EndpointOptions(addresses: [try IPAddress("10.60.0.\(number)")]))
      #expect(endpoint.announcesToAll == (left == 1 && number == 2 ? nil : true))
      #expect(try await moved() == left)
    }
    try await controller.attach("web")
    _ = try await come(mac)
    #expect(try await moved() == 1)
    let address = try IPAddress("10.60.0.5")
    try await controller.connect("web", to: "net", options: EndpointOptions(addresses: [address]))
    #expect(try await moved() == nil)
    try await controller.disconnect("web", from: "net")
    // Of many it is known that they are many.
    for _ in 0..<256 { _ = try await come(mac) }
    #expect(try await moved() == 256)
    #expect(try await come(EndpointOptions()).announcesToAll == nil)
    for _ in 0..<3 {
      _ = try await come(mac)
      #expect(try await moved() == nil)
    }
    #expect(try await controller.network("net").hasUnlistedMovedAddresses == true)
    #expect(try await come(EndpointOptions()).announcesToAll == true)
    // An allocated IPv6 address is not reused, whatever happens to the IPv4 address.
    try await controller.createNetwork("both", options: NetworkOptions(["10.61.0.0/24", "fd00:61::/64"]))
    for options in [EndpointOptions(addresses: [try IPAddress("10.61.0.9")]), EndpointOptions()] {
      for _ in 0..<3 {
        try await controller.attach("s", to: .network("both"), options: AttachOptions(endpoint: options))
        try await controller.stop("s")
      }
      try await controller.attach("s", to: .network("both"), options: AttachOptions(endpoint: options))
      try await controller.detach("s")
    }
    #expect(try await controller.network("both").movedAddresses == nil)
    // After a start of the machine neighbours' caches are empty.
    let afterwards = try Playground()
    let next = try await NetworkController(
      host: afterwards.host, store: store, settings: ControllerSettings(resolvers: [], bootID: "another"))
    #expect(try await next.network("net").hasUnlistedMovedAddresses == nil)
    let fresh = try await next.attach("c", to: .network("net"))
    #expect(fresh.endpoints[0].announcesToAll == nil)
    let chosen = try await next.attach(
      "d", to: .network("net"), options: AttachOptions(endpoint: mac))
    #expect(chosen.endpoints[0].announcesToAll == true)
    try await next.detach("d")
    #expect(try await next.network("net").movedAddresses?.count == 1)
    let last = try Playground()
    let again = try await NetworkController(
      host: last.host, store: store, settings: ControllerSettings(resolvers: [], bootID: "a third"))
    #expect(try await again.network("net").movedAddresses == nil)
    try await again.removeAll()
  }

  /// Without IPv4 no hardware address comes back.
  @Test(.timeLimit(.minutes(5))) func onIPv6AloneEverybodyHearsOfEverybody() async throws {
    var options = try NetworkOptions(["fd00:61::/64"])
    options.isIPv4Enabled = false
    try await controller.createNetwork("six", options: options)
    let one = try await attach("one", to: "six")
    for turn in 0..<3 {
      let other = try await attach("other", to: "six", ["fd00:61::9"])
      #expect(other.endpoints[0].announcesToAll == true)
      #expect(try suppresses(other) == true)
      #expect(try world.pings("fd00:61::9", from: one.namespace), "turn \(turn)")
      let mac = other.endpoints[0].macAddress
      #expect(try known("fd00:61::9", one.namespace, "eth0") == "\(mac)", "turn \(turn)")
      try await controller.detach("other")
    }
    #expect(try await controller.network("six").movedAddresses == nil)
    try await controller.removeAll()
  }

  /// Containers find each other whether the host knows them already or not, which is when the bridge could answer for them.
  @Test(.timeLimit(.minutes(5))) func containersFindEachOther() async throws {
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    var containers: [Sandbox] = []
    for number in 0..<3 { containers.append(try await attach("c\(number)", to: "net")) }
    for (from, to, isKnown) in [(0, 1, false), (2, 1, false), (0, 2, true), (1, 0, true)] {
      for address in containers[to].endpoints[0].addresses.map(\.address) {
        if isKnown { #expect(try world.pings("\(address)", from: world.host)) }
        #expect(try world.pings("\(address)", from: containers[from].namespace), "\(from) to \(address)")
      }
    }
    // And after the host has asked whether they are still there, which the bridge does not answer in IPv4's case.
    for container in containers {
      let address = "\(container.endpoints[0].address.address)"
      #expect(try world.output("ip", "neigh", "flush", "all", in: world.host) != nil)
      #expect(try world.pings(address, from: world.host))
    }
    try await controller.removeAll()
  }

  /// An adopted bridge has other ports, behind which MAC addresses change.
  @Test(.timeLimit(.minutes(5))) func onAnAdoptedBridgeAllIsHeard() async throws {
    let own = try world.host.links.createBridge(InterfaceName("br-own"))
    let uplink = try world.host.links.createVeth(
      VethEnd(InterfaceName("up0"), master: own.index), peer: VethEnd(InterfaceName("far0")))
    try world.host.links.setUp(index: uplink.index)
    let far = try world.host.links.get("far0")
    try world.host.links.setUp(index: far.index)
    var options = try NetworkOptions(["10.60.0.0/24"])
    options.bridge = try InterfaceName("br-own")
    try await controller.createNetwork("net", options: options)
    let one = try await attach("one", to: "net")
    #expect(try suppresses(one) == false)
    try mislead(one.namespace, "eth0", "10.60.0.200")
    let router = try #require(far.macAddress)
    try world.send(
      [Frame(from: router, type: 0x0806, Frame.arp(from: router, "10.60.0.200", 1))], by: "far0", in: world.host)
    #expect(try known("10.60.0.200", one.namespace, "eth0") == "\(router)")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// A port with changed settings is repaired, with or without published ports.
  @Test(.timeLimit(.minutes(5))) func aPortThatHearsAgainIsPutRight() async throws {
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    let one = try await attach("one", to: "net")
    let two = try await controller.attach(
      "two", to: .network("net"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    for sandbox in [one, two] {
      let port = try world.host.links.get("\(try #require(sandbox.endpoints[0].hostInterface))").index
      var options = BridgePortOptions()
      options.suppressesNeighbors = false
      try world.host.links.changeBridgePort(port, options)
      #expect(try await controller.differences().map(\.kind) == [.portSettings])
      let report = try await controller.reconcile()
      #expect(report.found.map(\.kind) == [.portSettings] && report.remaining == [] && report.failures == [])
      #expect(try suppresses(sandbox) == true)
    }
    try await controller.removeAll()
  }

  /// Over the bridges of a network that has grown, too: with another hardware address, and on another bridge than before.
  @Test(.timeLimit(.minutes(5))) func overSeveralBridgesToo() async throws {
    let world = try Playground(isDualStack: true)
    var settings = ControllerSettings(resolvers: [])
    (settings.bridgePorts, settings.bridgeTrunks) = (4, 2)
    let controller = try await NetworkController(host: world.host, settings: settings)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    var containers: [Sandbox] = []
    // Two on the first bridge, three on each of two more.
    for number in 0..<8 { containers.append(try await controller.attach("c\(number)", to: .network("net"))) }
    let bridges = containers.map { $0.endpoints[0].bridge }
    #expect(Set(bridges).count == 3 && bridges[0] != bridges[2] && bridges[2] != bridges[5])
    let attach = { (container: String, last: Int, mac: String?) async throws in
      let options = EndpointOptions(
        addresses: [try IPAddress("10.60.0.\(last)"), try IPAddress("fd00:60::\(last)")],
        macAddress: try mac.map { try MACAddress($0) })
      return try await controller.attach(container, to: .network("net"), options: AttachOptions(endpoint: options))
    }
    let reach = { (last: Int, from: [Int], what: String) throws in
      for address in ["10.60.0.\(last)", "fd00:60::\(last)"] {
        for number in from {
          #expect(try world.pings(address, from: containers[number].namespace), "c\(number) to \(address), \(what)")
        }
      }
    }
    try reach(7, [0, 2, 6], "as it was")
    try await controller.detach("c5")
    let other = try await attach("other", 7, "02:aa:bb:cc:dd:ee")
    try reach(7, [0, 2, 6], "another hardware address")
    try await controller.detach("other")
    _ = try await attach("again", 7, nil)
    try reach(7, [0, 2, 6], "its own again")
    #expect(other.endpoints[0].announcesToAll == true)

    try reach(4, [0, 3, 6], "where it was")
    try await controller.detach("c2")
    try await controller.detach("c7")
    // It takes the place of the first.
    let filler = try await attach("filler", 200, nil)
    let moved = try await attach("moved", 4, nil)
    #expect(filler.endpoints[0].bridge == bridges[2] && moved.endpoints[0].bridge == bridges[7])
    try reach(4, [0, 3, 6], "on another bridge")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }
}
