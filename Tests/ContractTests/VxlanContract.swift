import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// VXLAN links: the same on every kernel.
@Suite struct VxlanContract {
  private func make(_ kernel: KernelUnderTest) throws -> NetworkNamespace {
    try NetworkNamespace.create(on: kernel.make())
  }

  private func end(_ name: String) throws -> VethEnd { VethEnd(try InterfaceName(name)) }

  private func options(
    _ identifier: UInt32 = 7, port: UInt16 = 4789, local: String? = "192.0.2.1"
  ) throws -> VxlanOptions {
    VxlanOptions(identifier, port: port, local: try local.map { try IPAddress($0) })
  }

  @discardableResult
  private func refusal(_ body: () throws -> Void) -> NetworkError? {
    #expect(throws: NetworkError.self, performing: body)
  }

  @Test(arguments: KernelUnderTest.available) func optionsAreKept(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let plain = try namespace.links.createVxlan(end("plain"), options(local: nil))
    #expect(plain.kind == "vxlan" && plain.mtu == 1500 && !plain.flags.contains(.up) && plain.peer == nil)
    #expect(plain.vxlan == VxlanOptions(7))
    for (number, local) in ["192.0.2.1", "2001:db8::1"].enumerated() {
      var options = try options(UInt32(100 + number), port: 4790, local: local)
      options.remote = options.local
      options.maximumEntries = 100
      options.timeToLive = 9
      options.learnsAddresses = false
      options.answersNeighbors = true
      options.sendsChecksums = false
      options.fragmentation = .inherited
      options.ageingTime = .seconds(20)
      let link = try namespace.links.createVxlan(end("vx\(number)"), options, mtu: 1400)
      #expect(link.vxlan == options && link.mtu == 1400)
      #expect(try namespace.links.get(link.index).vxlan == options)

      var change = VxlanChange(
        local: try #require(local == "192.0.2.1" ? IPAddress("192.0.2.9") : IPAddress("fd00::9")))
      change.learnsAddresses = true
      change.timeToLive = 0
      change.fragmentation = .allowed
      change.ageingTime = .seconds(30)
      try namespace.links.changeVxlan(link.index, change)
      options.local = change.local
      options.learnsAddresses = true
      options.timeToLive = 0
      options.fragmentation = .allowed
      options.ageingTime = .seconds(30)
      #expect(try namespace.links.get(link.index).vxlan == options)
    }
    #expect(try namespace.links.get("plain").vxlan == VxlanOptions(7))
  }

  /// The MTU follows the underlay only at creation, and only if that is named.
  @Test(arguments: KernelUnderTest.available) func theUnderlayLimitsTheMTU(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let below = try namespace.links.createVeth(end("a"), peer: end("b"))
    for (local, mtu) in [("192.0.2.1", UInt32(1450)), ("2001:db8::1", 1430)] {
      var options = try options(local: local)
      let free = try namespace.links.createVxlan(end("free"), options)
      #expect(free.mtu == 1500)
      try namespace.links.setMTU(9000, of: free.index)
      try namespace.links.delete(index: free.index)

      options.underlay = below.index
      let bound = try namespace.links.createVxlan(end("bound"), options)
      #expect(bound.mtu == mtu && bound.vxlan?.underlay == below.index)
      #expect(refusal { try namespace.links.setMTU(mtu + 1, of: bound.index) }?.kernel?.errno == .invalidArgument)
      try namespace.links.setMTU(mtu - 1, of: bound.index)
      try namespace.links.delete(index: bound.index)

      let large = refusal { try namespace.links.createVxlan(end("large"), options, mtu: 1500) }
      #expect(large?.code == .invalidValue)
      #expect(
        large?.reason
          == "the MTU is 1500; over \"a\", whose MTU is 1500, a VXLAN's is at most \(mtu), for its headers take "
          + "\(options.overhead) bytes")
      // The kernel's own way: it cuts the MTU, and says nothing.
      let request = LinkRequests.createVxlan(try end("cut"), mtu: 1500, options: options)
      // It is not echoed.
      #expect(try namespace.connection(.route).execute(request).isEmpty)
      let cut = try namespace.links.get("cut")
      #expect(cut.mtu == mtu)
      try namespace.links.delete(index: cut.index)
    }
    var options = try options()
    options.underlay = 4711
    #expect(refusal { try namespace.links.createVxlan(end("lost"), options) }?.code == .notFound)
    // It goes with its underlay.
    options.underlay = below.index
    try namespace.links.createVxlan(end("bound"), options)
    try namespace.links.delete(index: below.index)
    #expect(try namespace.links.list().map(\.name) == ["lo"])
  }

  @Test(arguments: KernelUnderTest.available) func aNetworkIsThereOncePerPortAndFamily(_ kernel: KernelUnderTest) throws
  {
    let namespace = try make(kernel)
    let first = try namespace.links.createVxlan(end("first"), options())
    let taken = refusal { try namespace.links.createVxlan(end("second"), options(local: "192.0.2.2")) }
    #expect(taken?.code == .alreadyExists)
    #expect(
      taken?.reason
        == "VNI 7 with port 4789 is there once over IPv4, and link \"first\" has it; delete that, or choose another "
        + "VNI or port")
    #expect(try namespace.links.list().map(\.name) == ["lo", "first"])
    let name = refusal { try namespace.links.createVxlan(end("first"), options(8)) }
    #expect(name?.code == .alreadyExists && name?.reason == "")

    try namespace.links.createVxlan(end("port"), options(port: 4790))
    try namespace.links.createVxlan(end("vni"), options(8))
    try namespace.links.createVxlan(end("v6"), options(local: "2001:db8::1"))

    // It holds its VNI also from another namespace, where it is no obstacle.
    let other = try NetworkNamespace.create(on: namespace.kernel)
    try namespace.links.move(first.index, to: other)
    let moved = refusal { try namespace.links.createVxlan(end("second"), options()) }
    #expect(moved?.reason.contains("a link has it that was made in this namespace and is in another") == true)
    let there = try other.links.get("first")
    #expect(there.vxlan == first.vxlan && there.peerNamespaceID != nil)
    try other.links.createVxlan(end("second"), options())
    try other.links.delete(index: there.index)
    try namespace.links.createVxlan(end("second"), options())
  }

  /// Made in one request where it belongs.
  @Test(arguments: KernelUnderTest.available) func itIsMadeAsAPort(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    let mac = try MACAddress("02:00:00:00:00:07")
    let made = try namespace.links.createVxlan(
      VethEnd(InterfaceName("vx0"), macAddress: mac, master: bridge.index), options(), mtu: 1450)
    let link = try namespace.links.get("vx0")
    #expect(made.master == bridge.index && link.master == bridge.index && link.macAddress == mac && link.mtu == 1450)
    var port = BridgePortOptions()
    port.learnsAddresses = false
    port.suppressesNeighbors = true
    try namespace.links.changeBridgePort(link.index, port)
    let read = try namespace.links.get("vx0").bridgePort
    #expect(read?.learnsAddresses == false && read?.suppressesNeighbors == true)
    try namespace.links.setUp(index: link.index)
    let up = try namespace.links.get("vx0")
    #expect(up.flags.contains([.up, .running]) && up.operationalState == 0)
  }

  @Test(arguments: KernelUnderTest.available) func whatIsFixedStays(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let link = try namespace.links.createVxlan(end("vx0"), options())
    let connection = try namespace.connection(.route)
    // IFLA_VXLAN_ID, PORT, PROXY, LIMIT, UDP_CSUM.
    for (type, bytes, message) in [
      (1, [8, 0, 0, 0] as [UInt8], "Cannot change VNI"), (15, [0x12, 0xb6], "Cannot change port"),
      (11, [1], "vxlan: cannot change PROXY flag"), (9, [5, 0, 0, 0], "Cannot change limit"),
      (18, [0], "Cannot change UDP_CSUM flag"),
    ] {
      var request = LinkRequests.changeVxlan(link.index, VxlanChange())
      var body = PayloadWriter()
      body.append(contentsOf: request.body.prefix(16))
      body.nested(18) { info in
        info.attribute(1, string: "vxlan")
        info.nested(2) { $0.attribute(type, bytes: bytes) }
      }
      request.body = body.bytes
      let error = refusal { try connection.execute(request) }
      #expect(error?.code == .unsupported && error?.kernel?.message == message, "attribute \(type)")
    }
    #expect(try namespace.links.get("vx0").vxlan == options())

    let family = refusal { try namespace.links.changeVxlan(link.index, VxlanChange(local: IPAddress("fd00::1"))) }
    #expect(family?.code == .unsupported)
    #expect(
      family?.reason
        == "VXLAN \(link.index) is of IPv4, and fd00::1 of IPv6; delete it, and create it with the address")
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    let change = VxlanChange(local: try IPAddress("192.0.2.9"))
    let kind = refusal { try namespace.links.changeVxlan(bridge.index, change) }
    #expect(kind?.code == .unsupported && kind?.reason == "link \(bridge.index) is no VXLAN")
    #expect(refusal { try namespace.links.changeVxlan(4711, change) }?.code == .notFound)
  }

  /// The kernel's own refusals, with the check before them bypassed.
  @Test(arguments: KernelUnderTest.available) func kernelRefusesBadOptions(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let connection = try namespace.connection(.route)
    var group = try options(local: nil)
    group.remote = try IPAddress("239.1.1.1")
    var mixed = try options()
    mixed.remote = try IPAddress("2001:db8::1")
    for (options, errno, message) in try [
      (options(1 << 24), 34, "VXLAN ID must be lower than 16777216"),
      (options(local: "224.0.0.1"), 22, "Local address cannot be multicast"),
      (options(local: "fe80::1"), 22, "Local interface required for link-local local/remote addresses"),
      (group, 22, "Local interface required for multicast remote destination"),
      (mixed, 22, "Local and remote address must be from the same family"),
    ] {
      #expect(refusal { try options.validate() }?.code == .invalidValue)
      let request = LinkRequests.createVxlan(try end("vx0"), mtu: nil, options: options)
      let error = refusal { try connection.execute(request) }
      #expect(error?.kernel?.errno.rawValue == CInt(errno) && error?.kernel?.message == message)
    }
    #expect(try namespace.links.list().map(\.name) == ["lo"])
    // Port 0 is the port of before RFC 7348.
    try connection.execute(LinkRequests.createVxlan(end("vx0"), mtu: nil, options: options(port: 0)))
    #expect(try namespace.links.get("vx0").vxlan?.port == 8472)
  }

  /// It needs its UDP port when it comes up, not before, and shares it with other VXLANs.
  @Test(arguments: KernelUnderTest.available) func itNeedsItsPort(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    try namespace.links.setUp(index: 1)
    let first = try namespace.links.createVxlan(end("first"), options())
    let second = try namespace.links.createVxlan(end("second"), options(8))
    let sixth = try namespace.links.createVxlan(end("sixth"), options(local: "2001:db8::1"))
    let loopback = PortBinding(try IPAddress("127.0.0.1"), 4789, .udp)
    var taken = try namespace.kernel.reservePorts([loopback], in: namespace.handle)
    #expect(taken.count == 1)
    let held = refusal { try namespace.links.setUp(index: first.index) }
    #expect(held?.code == .inUse && held?.kernel?.errno == .addressInUse)
    #expect(
      held?.reason.hasPrefix("the VXLAN needs UDP port 4789 of all IPv4 addresses, which is held: ") == true)
    #expect(try !namespace.links.get("first").flags.contains(.up))
    // The other family has another socket.
    try namespace.links.setUp(index: sixth.index)
    taken = []

    try namespace.links.setUp(index: first.index)
    try namespace.links.setUp(index: second.index)
    #expect(try namespace.kernel.heldPorts(among: [loopback], in: namespace.handle) == [loopback])
    #expect(try namespace.kernel.reservePorts([loopback], in: namespace.handle).isEmpty)
    try namespace.links.setDown(index: first.index)
    #expect(try namespace.kernel.heldPorts(among: [loopback], in: namespace.handle) == [loopback])
    try namespace.links.delete(index: second.index)
    #expect(try namespace.kernel.heldPorts(among: [loopback], in: namespace.handle) == [])
  }

  /// Its socket is in the namespace that it was made in.
  @Test(arguments: KernelUnderTest.available) func itsSocketStaysAtHome(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let other = try NetworkNamespace.create(on: namespace.kernel)
    var far = try end("far")
    far.namespace = other.handle.descriptor
    let wanted = try options()
    let request = LinkRequests.createVxlan(far, mtu: nil, options: wanted)
    try namespace.connection(.route).execute(request)
    let link = try other.links.get("far")
    #expect(link.peerNamespaceID != nil && link.vxlan == wanted)
    try other.links.setUp(index: link.index)
    try namespace.links.setUp(index: 1)
    try other.links.setUp(index: 1)
    let loopback = PortBinding(try IPAddress("127.0.0.1"), 4789, .udp)
    #expect(try namespace.kernel.heldPorts(among: [loopback], in: namespace.handle) == [loopback])
    #expect(try namespace.kernel.heldPorts(among: [loopback], in: other.handle) == [])
  }
}
