import ContainerNetworking
import ContainerNetworkingTestKit
import Netlink
import Synchronization
import SystemPackage
import Testing

/// Verbs for callers that do not know what is there, on both kernels.
@Suite(.timeLimit(.minutes(5))) struct EnsuringContract {
  private func start(_ kernel: any Kernel) async throws -> NetworkController {
    var settings = ControllerSettings(reservesPorts: false)
    settings.resolvers = []
    let controller = try await NetworkController(host: .create(on: kernel), settings: settings)
    for (name, subnet) in [("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")] {
      try await controller.createNetwork(name, options: NetworkOptions(subnet: try Subnet(subnet)))
    }
    return controller
  }

  // MARK: - Networks

  @Test(arguments: KernelUnderTest.available) func networkIsMadeOnceAndThenTheSame(_ which: KernelUnderTest)
    async throws
  {
    let controller = try await start(which.make())
    let options = NetworkOptions(subnet: try Subnet("10.9.0.0/24"), labels: ["tier": "db"])
    let networks = try await withThrowingTaskGroup(of: NetworkRecord.self) { group in
      for _ in 0..<8 { group.addTask { try await controller.ensureNetwork("new", options: options) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(networks.map(\.id)).count == 1 && networks.allSatisfy { $0.phase == .ready })
    // What the options leave to the controller matches whatever it chose.
    let any = NetworkOptions()
    #expect(try await controller.ensureNetwork("new", options: any).id == networks[0].id)
    let wild = NetworkOptions(subnet: try Subnet("0.0.0.0/24"))
    #expect(try await controller.ensureNetwork("new", options: wild).id == networks[0].id)
    // A name is no beginning of an id.
    let part = String(networks[0].id.prefix(8))
    #expect(try await controller.ensureNetwork(part).name == part)
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func everyDifferingFieldIsTold(_ which: KernelUnderTest) async throws {
    let controller = try await start(which.make())
    let asked = NetworkOptions(
      subnet: try Subnet("10.7.0.0/24"), isIPv6Enabled: true, isInternal: true, mtu: 9000,
      bridge: try InterfaceName("br9"), policy: NetworkPolicy(allowsContainerTraffic: false, masquerades: false),
      labels: ["tier": "db"])
    let error = await #expect(throws: NetworkError.self) { try await controller.ensureNetwork("one", options: asked) }
    let bridge = try #require(try await controller.network("one").bridge)
    #expect(error?.code == .conflictingOptions)
    #expect(
      error?.differences == [
        FieldDifference("families", recorded: "IPv4", asked: "IPv4 IPv6"),
        FieldDifference("subnet", recorded: "10.1.0.0/24", asked: "10.7.0.0/24"),
        FieldDifference("isInternal", recorded: "false", asked: "true"),
        FieldDifference("mtu", recorded: "1500", asked: "9000"),
        FieldDifference("bridge", recorded: "\(bridge)", asked: "br9"),
        FieldDifference("masquerades", recorded: "true", asked: "false"),
        FieldDifference("policy.allowsContainerTraffic", recorded: "true", asked: "false"),
        FieldDifference("label", recorded: "none", asked: "tier=db"),
      ])
    #expect(error?.reason.contains("mtu is 1500 there and 9000 here") == true)
    // Only the fields that the caller compares.
    let some = try await controller.ensureNetwork("one", options: asked, comparing: [.driver, .parent])
    #expect(some.name == "one" && some.mtu == 1500)
    await #expect(throws: NetworkError.self) {
      try await controller.ensureNetwork("one", options: NetworkOptions(subnet: Subnet("0.0.0.0/25")))
    }
    let predefined = await #expect(throws: NetworkError.self) { try await controller.ensureNetwork("host") }
    #expect(predefined?.code == .refused)
    try await controller.removeAll()
  }

  // MARK: - Containers

  @Test(arguments: KernelUnderTest.available) func detachOfWhatIsGoneIsNoFailure(_ which: KernelUnderTest) async throws
  {
    let controller = try await start(which.make())
    #expect(try await controller.ensureDetached("web") == false)
    #expect(try await controller.ensureDetached("web", from: ["one", "no-such"]) == false)
    try await controller.attach("web", to: .network("one"))
    try await controller.connect("web", to: "two")
    let eth1 = try InterfaceName("eth1")
    #expect(try await controller.ensureDetached("web", from: ["one"], interface: eth1) == false)
    #expect(try await controller.ensureDetached("web", from: ["two"], interface: eth1))
    #expect(try await controller.sandbox("web").endpoints.map(\.networkName) == ["one"])
    // The last endpoint takes the container with it.
    #expect(try await controller.ensureDetached("web", from: ["one", "two"]))
    #expect(try await controller.sandboxes().isEmpty)
    try await controller.attach("plain", to: .none)
    #expect(try await controller.ensureDetached("plain", from: ["one"]) == false)
    #expect(try await controller.ensureDetached("plain"))
    // A stopped one gives its address back.
    try await controller.attach("web", to: .network("one"), options: AttachOptions(address: IPAddress("10.1.0.9")))
    try await controller.stop("web")
    #expect(try await controller.ensureDetached("web", from: ["one"]))
    try await controller.removeNetwork("one")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func onlyWhatIsListedIsKept(_ which: KernelUnderTest) async throws {
    let controller = try await start(which.make())
    let own = EndpointOptions(labels: ["maker": "cni"])
    for name in ["kept", "half", "lost"] {
      try await controller.attach(name, to: .network("one"), options: AttachOptions(endpoint: own))
    }
    try await controller.connect("half", to: "two", options: own)
    try await controller.attach("other", to: .network("one"))
    try await controller.attach("plain", to: .none)
    try await controller.attach("stopped", to: .network("one"), options: AttachOptions(address: IPAddress("10.1.0.99")))
    try await controller.stop("stopped")
    let (eth0, eth1) = (try InterfaceName("eth0"), try InterfaceName("eth1"))
    let kept = [AttachedInterface("kept", eth0), AttachedInterface("half", eth1), AttachedInterface("unknown")]
    let filter = EndpointFilter(networks: ["one"], labels: ["maker": "cni"])
    let report = try await controller.keepOnly(kept, matching: filter)
    #expect(report.failures == [])
    #expect(
      report.removed.sorted { $0.container < $1.container } == [
        AttachedInterface("half", eth0), AttachedInterface("lost", eth0),
      ])
    #expect(try await controller.sandboxes().map(\.container) == ["half", "kept", "other", "plain"])
    #expect(try await controller.sandbox("half").endpoints.map(\.networkName) == ["two"])
    #expect(try await controller.inspect("one").endpoints.contains { $0.container == "stopped" })
    // Nothing is left to take.
    #expect(try await controller.keepOnly(kept, matching: filter).removed == [])
    // Without criteria everything else goes, and what is kept ready stays.
    try await controller.keepReady(1, on: "two")
    let all = try await controller.keepOnly(containers: ["kept"])
    #expect(all.removed.map(\.container).sorted() == ["half", "other", "plain", "stopped"] && all.failures == [])
    #expect(try await controller.readySandboxes(on: "two").count == 1)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  // MARK: - Checks

  @Test(arguments: KernelUnderTest.available) func checkTellsOfOneContainerAlone(_ which: KernelUnderTest) async throws
  {
    let controller = try await start(which.make())
    let options = AttachOptions(ports: [try PortMapping("8080:80")])
    let web = try await controller.attach("web", to: .network("one"), options: options)
    let other = try await controller.attach("other", to: .network("two"))
    #expect(try await controller.check(container: "web") == [])
    // What another container lacks is not this one's.
    let lo = try other.namespace.links.get("eth0").index
    try other.namespace.links.setDown(index: lo)
    #expect(try await controller.check(container: "web") == [])
    #expect(try await controller.check(container: "other").map(\.kind) == [.containerSettings])

    try web.namespace.links.setDown(index: web.namespace.links.get("eth0").index)
    let port = try #require(web.endpoints[0].hostInterface)
    try controller.host.links.setDown(index: controller.host.links.get("\(port)").index)
    let bridge = try #require(try await controller.network("one").bridge)
    try controller.host.links.setDown(index: controller.host.links.get("\(bridge)").index)
    var changes = NftTransaction()
    let table = NftTable(family: .inet, name: "containernetworking")
    changes.flush(NftSet(table: table, name: "published4", key: [.transportProtocol, .port]))
    try changes.commit(over: controller.host.connection(.netfilter))
    let found = try await controller.check(container: "web")
    #expect(Set(found.map(\.kind)) == [.bridgeSettings, .portSettings, .containerSettings, .rules], "\(found)")
    #expect(found.allSatisfy { $0.container == "web" || $0.kind == .bridgeSettings })
    // The same as the check of everything.
    let all = try await controller.differences()
    #expect(found.filter { $0.kind != .rules }.allSatisfy(all.contains))
    try await controller.reconcile()
    #expect(try await controller.check(container: "web") == [])
    #expect(try await controller.check(container: "other") == [])
    let unknown = await #expect(throws: NetworkError.self) { try await controller.check(container: "no-such") }
    #expect(unknown?.code == .notFound)
    try await controller.removeAll()
  }

  /// A kernel that counts the bytes of its answers.
  private final class CountingKernel: ForwardingKernel {
    let base: any Kernel
    let bytes = Atomic(0)

    init(_ base: any Kernel) { self.base = base }

    func openSocket(
      _ family: NetlinkFamily, in namespace: NamespaceHandle
    ) throws(NetworkError) -> any NetlinkSocket { CountingSocket(try base.openSocket(family, in: namespace), self) }
  }

  private final class CountingSocket: ForwardingSocket {
    let base: any NetlinkSocket
    private let kernel: CountingKernel

    init(_ base: any NetlinkSocket, _ kernel: CountingKernel) {
      self.base = base
      self.kernel = kernel
    }

    func receive() throws(NetworkError) -> [UInt8] {
      let datagram = try base.receive()
      kernel.bytes.add(datagram.count, ordering: .relaxed)
      return datagram
    }
  }

  @Test(arguments: KernelUnderTest.available) func checkCostsTheSameBesideOthers(_ which: KernelUnderTest) async throws
  {
    let kernel = CountingKernel(which.make())
    let controller = try await start(kernel)
    let options = AttachOptions(ports: [try PortMapping("8080:80")])
    try await controller.attach("web", to: .network("one"), options: options)
    func bytes() async throws -> Int {
      let before = kernel.bytes.load(ordering: .relaxed)
      #expect(try await controller.check(container: "web") == [])
      return kernel.bytes.load(ordering: .relaxed) - before
    }
    let alone = try await bytes()
    let others = (0..<40).map { AttachRequest("other\($0)", to: .network("one")) }
    for result in await controller.attach(others) { _ = try result.get() }
    let beside = try await bytes()
    #expect(alone > 0 && abs(beside - alone) < 200, "\(alone) bytes alone, \(beside) beside 40")
    try await controller.removeAll()
  }
}
