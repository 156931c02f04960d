import ContainerNetworking
import Playground
import Testing

/// The assumptions of attach and the deferred work of detach, in cases where they do not hold.
@Suite(.timeLimit(.minutes(5))) struct ShortcutTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground()
    controller = try await NetworkController(host: world.host)
  }

  /// A given namespace's links are not listed; the kernel reports a name that is taken.
  @Test func aGivenNamespaceMayHaveLinks() async throws {
    let given = try NetworkNamespace.create()
    try given.links.createVeth(VethEnd(try InterfaceName("eth0")), peer: VethEnd(try InterfaceName("eth1")))
    let web = try await controller.attach(
      "web", options: AttachOptions(ports: [PortMapping("8080:80")]), namespace: given)
    #expect(web.endpoints[0].interface.description == "eth2")
    try await controller.detach("web")
    let named = EndpointOptions(interface: try InterfaceName("eth1"))
    let error = await refusal {
      try await controller.attach("side", options: AttachOptions(endpoint: named), namespace: given)
    }
    #expect(error?.code == .inUse)
    #expect(error?.description.contains("has an interface \"eth1\" already") == true)
    // Nothing is left of either try: the port is free, and the host has the one end of the one pair.
    #expect(try given.links.list().map(\.name).sorted() == ["eth0", "eth1", "lo"])
    try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
    #expect(try world.host.links.list().count { $0.name.hasPrefix("veth") } == 1)
  }

  /// The bridge's index is cached; a recreated bridge is noticed, even if its old index is reused.
  @Test(arguments: [false, true]) func aBridgeMayBeMadeAnew(_ isIndexReused: Bool) async throws {
    try await controller.attach("one")
    let bridge = try world.host.links.get("cn0")
    try world.host.links.delete(index: bridge.index)
    if isIndexReused {
      // A foreign bridge with the old index.
      var body = PayloadWriter()
      body.appendZeros(4)
      body.append(bridge.index)
      body.appendZeros(8)
      body.attribute(3, string: "other0")  // IFLA_IFNAME
      body.nested(18) { $0.attribute(1, string: "bridge") }  // IFLA_LINKINFO, IFLA_INFO_KIND
      try world.host.connection(.route).execute(
        NetlinkRequest(
          type: 16, flags: [.create, .exclusive], body: body.bytes, name: "RTM_NEWLINK", purpose: "create link other0"))
    }
    let report = try await controller.reconcile()
    #expect(report.remaining.isEmpty)
    let two = try await controller.attach("two")
    let index = try world.host.links.get("cn0").index
    #expect(index != bridge.index)
    let port = try #require(two.endpoints[0].hostInterface)
    #expect(try world.host.links.get("\(port)").master == index)
    #expect(try world.pings("172.17.0.1", from: two.namespace, within: 5))
    #expect(try world.host.links.list().allSatisfy { $0.master != bridge.index })
  }

  /// When detach returns the link is gone for everyone, though the kernel has not freed it yet.
  @Test func detachDoesNotWaitForTheKernelToFree() async throws {
    let web = try await controller.attach("web")
    let port = try #require(web.endpoints[0].hostInterface)
    try await controller.detach("web")
    #expect(throws: NetworkError.self) { try world.host.links.get("\(port)") }
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    try await controller.settled()
    // Its name, its address and its hardware address are free at once.
    for round in 0..<20 {
      let again = try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
      #expect(try world.pings("172.17.0.1", from: again.namespace, within: 5), "round \(round)")
      try await controller.detach("web")
    }
    try await controller.removeAll()
    try await controller.settled()
    #expect(try world.host.links.list().map(\.name).sorted() == ["eth0", "lo"])
  }

  /// More at once than there are threads for the kernel's waits.
  @Test func manyDetachesAtOnce() async throws {
    for number in 0..<40 { try await controller.attach("c\(number)") }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<40 { group.addTask { try await controller.detach("c\(number)") } }
      try await group.waitForAll()
    }
    try await controller.settled()
    #expect(try world.host.links.list().map(\.name).sorted() == ["cn0", "eth0", "lo"])
    #expect(try await controller.sandboxes().isEmpty)
  }
}
