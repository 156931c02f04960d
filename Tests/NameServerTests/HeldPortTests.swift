import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Netlink
import Playground
import SystemPackage
import Testing

/// Names on a host where another program holds port 53, even on the wildcard.
@Suite(.timeLimit(.minutes(5))) struct HeldPortTests {
  private static let everywhere = ["0.0.0.0", "::"]

  /// Asks over every transport; the sockets are connected, so that an answer from another port does not count.
  private func expectNames(_ asker: Resolver, _ name: String, _ address: String, six: String) throws {
    let bySix = Resolver(namespace: asker.namespace, server: try IPAddress(six))
    for transport in [TransportProtocol.udp, .tcp] {
      #expect(try asker.ask(name, over: transport)?.addresses == [address], "\(transport)")
      #expect(try bySix.ask(name, over: transport)?.addresses == [address], "\(transport) by IPv6")
    }
  }

  @Test func aHolderOfPort53OfAllAddressesIsNotInTheWayAndStaysWhatItIs() async throws {
    let it = try await NameWorld()
    let holders = try Self.everywhere.map { address in
      try PlayedServer.answering("192.0.2.9", at: address, in: it.world.host)
    }
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.create("red", "10.82.0.0/24", "fd00:82::/64")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let stranger = try await it.resolver(it.attach("stranger", to: "red"))
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    let isUnasked = holders.allSatisfy(\.queries.isEmpty)
    #expect(isUnasked)
    // Others still ask the holder: the host, and clients from outside.
    for (namespace, address) in [
      (it.world.host, "127.0.0.1"), (it.world.host, "203.0.113.1"), (it.world.outside, "203.0.113.1"),
    ] {
      let other = Resolver(namespace: namespace, server: try IPAddress(address))
      for transport in [TransportProtocol.udp, .tcp] {
        #expect(try other.ask("web", over: transport)?.addresses == ["192.0.2.9"], "\(address) \(transport)")
      }
    }
    // The host is a neighbour by the gateway's address; another network is a stranger.
    let host = Resolver(namespace: it.world.host, server: asker.server)
    #expect(try host.addresses("web") == ["10.81.0.2"])
    let foreign = Resolver(namespace: stranger.namespace, server: asker.server)
    #expect(try foreign.ask("web", within: 500) == nil)
    let place = try await it.controller.network("blue").nameServer
    #expect(place?.port == 61_053 && place?.phase == .ready)
    #expect(try await it.controller.differences() == [])
    // A server that is started again finds the port in the record.
    await it.server.stop()
    try await it.server.start()
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    #expect(it.failures.all == [])
    for holder in holders { holder.stop() }
    try await it.end()
  }

  @Test func whoComesLaterGetsPort53OfAllAddresses() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    let holders = try Self.everywhere.map { address in
      try PlayedServer.answering("192.0.2.9", at: address, in: it.world.host)
    }
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    try await it.attach("late", to: "blue")
    try expectNames(asker, "late", "10.81.0.4", six: "fd00:81::1")
    let other = Resolver(namespace: it.world.outside, server: try IPAddress("203.0.113.1"))
    #expect(try other.addresses("web") == ["192.0.2.9"])
    for holder in holders { holder.stop() }
    try await it.end()
  }

  @Test func aPortOfOursThatIsTakenIsLeftToItsHolder() async throws {
    let it = try await NameWorld()
    let first = try it.world.host.bindSocket(to: TransportAddress(.any(.ipv4), 61_053, .udp))
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    #expect(try await it.controller.network("blue").nameServer?.port == 61_054)
    // Taken while no server ran: all containers have names, and it is reported and repaired.
    await it.server.stop()
    let second = try it.world.host.bindSocket(to: TransportAddress(.any(.ipv6), 61_054, .tcp))
    try await it.server.start()
    #expect(it.failures.all.map(\.code) == [.inUse])
    let found = try await it.controller.differences()
    #expect(found.map(\.kind) == [.namesUnserved] && found.map(\.network) == ["blue"], "\(found)")
    let report = try await it.controller.reconcile()
    #expect(report.remaining == [] && report.failures.isEmpty, "\(report)")
    let place = try await it.controller.network("blue").nameServer
    #expect(place?.port == 61_055 && place?.phase == .ready)
    try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
    try first.close()
    try second.close()
    try await it.end()
  }

  @Test func aPublishedPort53AndNamesGoTogether() async throws {
    let it = try await NameWorld()
    let published = AttachOptions(ports: [try PortMapping("53:53/udp"), try PortMapping("53:53/tcp")])
    for isFirst in [true, false] {
      if !isFirst {
        try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
        try await it.attach("web", to: "blue")
      }
      try await it.create("green", "10.83.0.0/24", "fd00:83::/64")
      let dns = try await it.controller.attach("dns", to: .network("green"), options: published)
      let answering = try PlayedServer.answering("192.0.2.9", at: "0.0.0.0", in: dns.namespace)
      if isFirst {
        try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
        try await it.attach("web", to: "blue")
      }
      let asker = try await it.resolver(it.attach("asker", to: "blue"))
      try expectNames(asker, "web", "10.81.0.2", six: "fd00:81::1")
      for namespace in [it.world.outside, asker.namespace] {
        let other = Resolver(namespace: namespace, server: try IPAddress("203.0.113.1"))
        #expect(try other.addresses("web") == ["192.0.2.9"], "first: \(isFirst)")
      }
      // At its own gateway, too, the container's port does not conflict.
      #expect(try it.resolver(dns).addresses("dns") == ["10.83.0.2"])
      #expect(try await it.controller.differences() == [])
      answering.stop()
      try await it.controller.removeAll()
    }
    try await it.end()
  }

  @Test func whatContainersAskAtIsNotPublished() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    try await it.attach("web", to: "blue")
    let mapping = try PortMapping("10.81.0.1:53:53/udp")
    let publish = await #expect(throws: NetworkError.self) { try await it.controller.publish([mapping], of: "web") }
    let attach = await #expect(throws: NetworkError.self) {
      try await it.controller.attach("dns", options: AttachOptions(ports: [mapping]))
    }
    for error in [publish, attach] {
      #expect(error?.code == .inUse)
      let text = error?.description ?? ""
      #expect(text.contains("the containers of network \"blue\" query port 53"), "\(text)")
    }
    // No other program gets the server's port, and the refusal names its holder.
    let theirs = await #expect(throws: NetworkError.self) {
      try await it.controller.publish([try PortMapping("61053:53/udp")], of: "web")
    }
    #expect(theirs?.code == .inUse)
    #expect(
      theirs?.description.contains("our name server for network \"blue\" answers at port") == true, "\(theirs as Any)")
    try await it.controller.publish([try PortMapping("203.0.113.1:61053:53/udp")], of: "web")
    // Another port of the gateway, and that port of another address, are anybody's.
    try await it.controller.publish([try PortMapping("10.81.0.1:54:53/udp")], of: "web")
    try await it.controller.publish([try PortMapping("203.0.113.1:53:53/udp")], of: "web")
    #expect(try await it.controller.differences() == [])
    try await it.end()
  }

  @Test func aNetworkThatHadNoNamesGetsThemUnlessItsPortIsPublished() async throws {
    let it = try await NameWorld()
    let plain = try await NetworkController(
      host: it.world.host, store: try SQLiteStore(at: it.directory.appending("state")))
    var options = NetworkOptions(subnet: try Subnet("10.81.0.0/24"))
    options.isIPv4Enabled = true
    try await plain.createNetwork("blue", options: options)
    #expect(try await plain.network("blue").nameServer == nil)
    try await plain.attach(
      "dns", to: .network("blue"), options: AttachOptions(ports: [try PortMapping("10.81.0.1:53:53/udp")]))
    let error = await #expect(throws: NetworkError.self) { try await it.attach("web", to: "blue") }
    #expect(error?.code == .inUse)
    #expect(error?.description.contains("is published for \"dns\"") == true, "\(error?.description ?? "")")
    // On a network with names but without a server.
    #expect(try await it.controller.differences().map(\.kind) == [.namesUnserved])
    try await plain.unpublish([try PortMapping("10.81.0.1:53:53/udp")], of: "dns")
    let web = try await it.attach("web", to: "blue")
    #expect(try it.resolver(web).addresses("dns") == ["10.81.0.2"])
    let place = try await it.controller.network("blue").nameServer
    #expect(place?.port == 61_053 && place?.phase == .ready)
    #expect(try await it.controller.differences() == [])
    try await it.end()
  }

  @Test func anotherRecordOfTheHostPublishesPort53() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    let web = try await it.attach("web", to: "blue")
    let other = try await NetworkController(
      host: it.world.host, store: try SQLiteStore(at: it.directory.appending("other")))
    try await other.createNetwork("green", options: NetworkOptions(subnet: try Subnet("10.83.0.0/24")))
    try await other.attach(
      "dns", to: .network("green"), options: AttachOptions(ports: [try PortMapping("53:53/udp")]))
    #expect(try it.resolver(web).addresses("web") == web.shownAddresses)
    let mapping = try PortMapping("10.81.0.1:53:54/udp")
    let error = await #expect(throws: NetworkError.self) { try await other.publish([mapping], of: "dns") }
    #expect(error?.code == .inUse, "\(error?.description ?? "")")
    #expect(try it.resolver(web).addresses("web") == web.shownAddresses)
    #expect(try await it.controller.differences() == [])
    #expect(try await other.differences() == [])
    try await other.removeAll()
    try await it.end()
  }
}
