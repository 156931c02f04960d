import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import SystemPackage
import Testing

/// resolv.conf, hosts and hostname: their contents, their updates, and when they are left alone.
@Suite struct ContainerFileTests {
  private static let loopback = [
    "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters",
  ]

  @Test func theyAreThereWhenAttachReturnsAndGoWithTheContainer() async throws {
    let world = try await NamedWorld()
    let names = NameOptions(
      hostname: "front", domainname: "example.org", dnsOptions: ["rotate"],
      extraHosts: [try ExtraHost("db:10.9.9.9"), try ExtraHost("host:host-gateway")])
    let web = try await world.controller.attach("web", options: AttachOptions(names: names))
    let files = try #require(web.files)
    #expect(
      try lines(files.resolvConf) == ["nameserver 192.0.2.53", "search example.org", "options rotate"])
    #expect(
      try lines(files.hosts) == Self.loopback + [
        "10.9.9.9\tdb", "172.17.0.1\thost", "172.17.0.2\tfront.example.org front web",
      ])
    #expect(try text(files.hostname) == "front\n")
    #expect(web.hostname == "front" && web.domainname == "example.org" && web.warnings == [])
    let mode = try FileManager.default.attributesOfItem(atPath: files.hosts.string)[.posixPermissions] as? Int
    #expect(mode == 0o644)
    try await world.controller.detach("web")
    #expect(try world.containers() == [])

    let plain = try await world.controller.attach("plain", to: .none)
    let hostname = try #require(plain.hostname)
    #expect(hostname.wholeMatch(of: #/[0-9a-f]{12}/#) != nil)
    #expect(try text(#require(plain.files).hostname) == hostname + "\n")
    #expect(try lines(#require(plain.files).hosts) == Self.loopback)
    #expect(try await world.close() == [])
  }

  @Test func theyFollowTheNetworksInPlace() async throws {
    let world = try await NamedWorld(hasService: true)
    for (name, subnet) in [("blue", "10.7.0.0/24"), ("green", "10.8.0.0/24")] {
      try await world.controller.createNetwork(name, options: NetworkOptions(subnet: Subnet(subnet)))
    }
    let options = AttachOptions(names: NameOptions(hostname: "front"))
    let files = try #require(try await world.controller.attach("web", options: options).files)
    let inodes = [try inode(files.resolvConf), try inode(files.hosts)]
    #expect(try lines(files.resolvConf).first == "nameserver 192.0.2.53")
    try await world.controller.connect("web", to: "blue")
    try await world.controller.connect("web", to: "green")
    #expect(
      try lines(files.resolvConf) == [
        "nameserver 10.7.0.1", "nameserver 10.8.0.1", "search example.org", "options timeout:2 ndots:0",
      ])
    #expect(
      try lines(files.hosts).suffix(3) == ["172.17.0.2\tfront web", "10.7.0.2\tfront web", "10.8.0.2\tfront web"])
    try await world.controller.disconnect("web", from: "blue")
    #expect(try lines(files.resolvConf).first == "nameserver 10.8.0.1")
    #expect(try lines(files.hosts).suffix(2) == ["172.17.0.2\tfront web", "10.8.0.2\tfront web"])
    try await world.controller.disconnect("web", from: "green")
    #expect(try lines(files.resolvConf).first == "nameserver 192.0.2.53")
    #expect([try inode(files.resolvConf), try inode(files.hosts)] == inodes)
    #expect(try await world.close() == [])
  }

  @Test func whatSomebodyEditedIsLeftAlone() async throws {
    let world = try await NamedWorld()
    try await world.controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    let files = try #require(try await world.controller.attach("web").files)
    let edited = try text(files.hosts) + "10.1.1.1 mine\n"
    try write(edited, files.hosts)
    let before = try text(files.resolvConf)
    try await world.controller.connect("web", to: "blue")
    #expect(try text(files.hosts) == edited)
    #expect(try text(files.resolvConf) == before)
    #expect(try await world.controller.differences() == [])
    try await world.controller.disconnect("web", from: "blue")
    #expect(try text(files.hosts) == edited)
    // Put back as it was, it is ours again.
    try write(String(edited.dropLast("10.1.1.1 mine\n".count)), files.hosts)
    try await world.controller.connect("web", to: "blue")
    #expect(try text(files.hosts).contains("10.7.0."))
    #expect(try await world.close() == [])
  }

  /// A crash may leave a file with its beginning new and the rest old, at any byte, and the new text beside the copy of the
  /// old one; the next change finishes it. One byte that is neither is an edit.
  @Test func whatACrashLeftHalfwayIsStillOurs() async throws {
    let world = try await NamedWorld()
    try await world.controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    let files = try #require(try await world.controller.attach("web").files)
    let address = EndpointOptions(addresses: [try IPAddress("10.7.0.9")])
    let known = files.directory.appending(".written").appending("hosts")
    let next = files.directory.appending(".written").appending("hosts.next")
    let old = try text(files.hosts)
    try await world.controller.connect("web", to: "blue", options: address)
    let new = try text(files.hosts)
    try await world.controller.disconnect("web", from: "blue")
    #expect(old != new && new.hasPrefix(old))
    // From the long one to the short and back.
    for (from, to) in [(old, new), (new, old)] {
      for count in Array(stride(from: 0, through: to.utf8.count, by: 7)) + [to.utf8.count, .max] {
        let torn = String(decoding: Array(to.utf8.prefix(count)) + Array(from.utf8.dropFirst(count)), as: UTF8.self)
        try write(from, known)
        try write(to, next)
        try write(torn, files.hosts)
        try await world.controller.connect("web", to: "blue", options: address)
        #expect(try text(files.hosts) == new, "\(count) bytes")
        try await world.controller.disconnect("web", from: "blue")
        #expect(try text(files.hosts) == old, "\(count) bytes")
      }
    }
    try write(new, next)
    let edited = old.replacing("ip6-localnet", with: "ip6-localNet")
    try write(edited, files.hosts)
    try await world.controller.connect("web", to: "blue", options: address)
    #expect(try text(files.hosts) == edited)
    #expect(try await world.close() == [])
  }

  @Test func aLinkInTheirPlaceIsNotFollowed() async throws {
    let world = try await NamedWorld()
    try await world.controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    let files = try #require(try await world.controller.attach("web").files)
    let other = world.directory.appending("other")
    try write("theirs\n", other)
    try FileManager.default.removeItem(atPath: files.hosts.string)
    try FileManager.default.createSymbolicLink(atPath: files.hosts.string, withDestinationPath: other.string)
    try await world.controller.connect("web", to: "blue")
    #expect(try text(other) == "theirs\n")
    #expect(try await world.close() == [])
  }

  @Test func whatIsMissingIsMadeAgainAndWhatIsNobodysIsRemoved() async throws {
    let world = try await NamedWorld()
    let files = try #require(try await world.controller.attach("web").files)
    let (before, stray) = (try text(files.hosts), String(repeating: "0f", count: 32))
    try FileManager.default.removeItem(atPath: files.hosts.string)
    let root = world.directory.appending("files")
    for name in [stray, "mine"] {
      try FileManager.default.createDirectory(
        atPath: root.appending(name).appending("deep").string, withIntermediateDirectories: true)
      try write("x", root.appending(name).appending("deep").appending("file"))
    }
    let found = try await world.controller.differences()
    #expect(Set(found.map(\.kind)) == [.filesMissing, .strayFiles] && found.count == 2)
    let report = try await world.controller.reconcile()
    #expect(report.remaining == [] && report.failures.isEmpty)
    #expect(try text(files.hosts) == before)
    #expect(try world.containers() == [files.directory.lastComponent?.string ?? "", "mine"].sorted())

    try FileManager.default.removeItem(atPath: files.directory.string)
    #expect(try await world.controller.reconcile().remaining == [])
    #expect(try text(files.hosts) == before)
    #expect(try await world.close() == ["mine"])
  }

  @Test func thoseWhoShareANamespaceShareThem() async throws {
    let world = try await NamedWorld()
    let web = try await world.controller.attach(
      "web", options: AttachOptions(names: NameOptions(hostname: "front")))
    let side = try await world.controller.attach("side", to: .container("web"))
    #expect(side.files == web.files && side.hostname == "front")
    try await world.controller.detach("web")
    #expect(try text(#require(side.files).hosts).contains("\tfront web\n"))
    try await world.controller.detach("side")
    #expect(try world.containers() == [])

    let first = try await world.controller.attach("first", to: .host)
    let second = try await world.controller.attach("second", to: .host)
    #expect(first.files != second.files)
    try await world.controller.detach("first")
    #expect(try world.containers() == [second.files?.directory.lastComponent?.string])
    #expect(try await world.close() == [])
  }

  @Test func theHostsOwnAreThoseOfHostMode() async throws {
    let world = try await NamedWorld()
    let plain = try await world.controller.attach("plain", to: .host)
    let files = try #require(plain.files)
    #expect(
      try text(files.resolvConf)
        == "nameserver 192.0.2.53\nnameserver 127.0.0.1\nsearch example.org\noptions timeout:2\n")
    #expect(try text(files.hosts) == "127.0.0.1 localhost\n203.0.113.1 machine\n")
    #expect(try text(files.hostname) == "machine\n" && plain.hostname == nil)
    let names = NameOptions(
      hostname: "own", dns: [try IPAddress("192.0.2.1")], extraHosts: [try ExtraHost("me:host-gateway")])
    let own = try await world.controller.attach("own", to: .host, options: AttachOptions(names: names))
    #expect(try lines(#require(own.files).resolvConf).first == "nameserver 192.0.2.1")
    #expect(try lines(#require(own.files).hosts).last == "127.0.0.1\tme")
    #expect(try text(#require(own.files).hostname) == "own\n" && own.hostname == "own")
    #expect(try await world.close() == [])
  }

  @Test func aStoppedContainerHasNoneAndGetsNewOnes() async throws {
    let world = try await NamedWorld()
    try await world.controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    let options = AttachOptions(address: try IPAddress("10.7.0.9"), names: NameOptions(hostname: "front"))
    try await world.controller.attach("web", to: .network("blue"), options: options)
    try await world.controller.stop("web")
    #expect(try world.containers() == [])
    let again = try await world.controller.attach("web", to: .network("blue"))
    #expect(again.endpoints[0].address.description == "10.7.0.9/24" && again.hostname != "front")
    #expect(try world.containers().count == 1)
    #expect(try await world.close() == [])
  }

  // MARK: - Name servers

  @Test func withoutAServerThatCanBeReachedNoOtherIsAsked() async throws {
    for (resolvConf, upstream, servers) in [
      ("nameserver 127.0.0.53\n", "nameserver 192.0.2.9\n", ["192.0.2.9"]), ("nameserver 127.0.0.53\n", "", []),
      ("nameserver 127.0.0.1\nnameserver 192.0.2.7\n", "nameserver 192.0.2.9\n", ["192.0.2.7"]),
      ("nameserver fe80::1%eth0\nnameserver 2001:db8::53\n", "", []), ("", "", []),
    ] {
      let world = try await NamedWorld(resolvConf: resolvConf, upstream: upstream)
      let web = try await world.controller.attach("web")
      let found = try lines(#require(web.files).resolvConf).map { String($0.dropFirst("nameserver ".count)) }
      #expect(found == servers, "\(resolvConf)")
      #expect(web.warnings == (servers.isEmpty ? [.noNameServer] : []), "\(resolvConf)")
      #expect(try await world.close() == [])
    }
  }

  @Test func whatResolversDoNotTakeIsSaid() async throws {
    let world = try await NamedWorld()
    let servers = try (1...5).map { try IPAddress("192.0.2.\($0)") }
    let domains = (0..<7).map { "d\($0).example.org" }
    let names = NameOptions(dns: servers, dnsSearch: domains, dnsOptions: ["ndots:16", "attempts:5", "timeout:99"])
    let web = try await world.controller.attach("web", options: AttachOptions(names: names))
    #expect(
      web.warnings == [
        .nameServersIgnored(Array(servers.dropFirst(3))),
        .searchTooLong(domains: 7, characters: domains.joined(separator: " ").count),
        .resolverOptionCapped("ndots:16", 15), .resolverOptionCapped("timeout:99", 30),
      ])
    #expect(web.warnings.allSatisfy { !$0.description.isEmpty })
    #expect(try await world.controller.sandbox("web").warnings == web.warnings)
    let none = NameOptions(dnsSearch: ["."])
    let quiet = try await world.controller.attach("quiet", options: AttachOptions(names: none))
    #expect(try lines(#require(quiet.files).resolvConf).contains { $0.hasPrefix("search") } == false)
    #expect(try await world.close() == [])
  }

  @Test func discoveryIsAskedAtTheGatewayOrInside() async throws {
    let world = try await NamedWorld(hasService: true)
    try await world.controller.createNetwork(
      "blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24"), isIPv6Enabled: true))
    var options = NetworkOptions(subnet: try Subnet("10.8.0.0/24"))
    options.nameServing = .container
    try await world.controller.createNetwork("inner", options: options)
    options.subnets = [try Subnet("10.9.0.0/24")]
    options.nameServing = .off
    try await world.controller.createNetwork("plain", options: options)
    let names = NameOptions(dns: [try IPAddress("192.0.2.1")])
    let web = try await world.controller.attach(
      "web", to: .network("blue"), options: AttachOptions(names: names))
    let gateways = try await world.controller.network("blue").bridgeGateways
    #expect(gateways.count == 2)
    let servers = { try lines(#require(web.files).resolvConf).filter { $0.hasPrefix("nameserver") } }
    #expect(try servers() == gateways.map { "nameserver \($0)" })
    try await world.controller.connect("web", to: "inner")
    #expect(try servers() == ["nameserver 127.0.0.11"])
    let plain = try await world.controller.attach("plain", to: .network("plain"), options: AttachOptions(names: names))
    #expect(try lines(#require(plain.files).resolvConf).first == "nameserver 192.0.2.1")
    #expect(try await world.close() == [])
  }

  /// A controller without a name service that changes a container's networks leaves the networks' servers in its files.
  @Test func aControllerWithoutAServiceKeepsDiscovery() async throws {
    let store = MemoryStore()
    // With paths, so that another controller can open them.
    let world = try await NamedWorld(hasService: true, store: store) { $0.namespaceDirectory = "/run/names" }
    for (name, subnet) in [("blue", "10.7.0.0/24"), ("red", "10.8.0.0/24")] {
      try await world.controller.createNetwork(name, options: NetworkOptions(subnet: Subnet(subnet)))
    }
    let web = try await world.controller.attach("web", to: .network("blue"))
    let servers = { try lines(#require(web.files).resolvConf).filter { $0.hasPrefix("nameserver") } }
    #expect(try servers() == ["nameserver 10.7.0.1"])
    var settings = world.settings
    settings.names = nil
    let plain = try await NetworkController(host: world.host, store: store, settings: settings)
    try await plain.connect("web", to: "red")
    #expect(try servers() == ["nameserver 10.7.0.1", "nameserver 10.8.0.1"])
    try await plain.disconnect("web", from: "blue")
    #expect(try servers() == ["nameserver 10.8.0.1"])
    // A container that never had the networks' servers asks the host's.
    let own = try await plain.attach("own", to: .network("blue"))
    try await plain.connect("own", to: "red")
    #expect(try lines(#require(own.files).resolvConf).first == "nameserver 192.0.2.53")
    #expect(try await world.close() == [])
  }
}
