import ContainerNetworking
import ContainerNetworkingTestKit
import Glibc
import SystemPackage
import Testing

/// Which ports are held, and which connections are tracked: the same on every kernel.
@Suite(.timeLimit(.minutes(10))) struct PortContract {
  /// A program that listens on a TCP port of both families' wildcards, until it is told to end.
  private func hold(_ port: UInt16, in namespace: NetworkNamespace) throws -> () throws -> Void {
    if let kernel = namespace.kernel as? SimulatedKernel {
      kernel.holdPort(port, .tcp, in: namespace.handle)
      return { kernel.releasePort(port, .tcp, in: namespace.handle) }
    }
    var command = Command("busybox", ["nc", "-ll", "-p", "\(port)", "-e", "true"])
    command.endsWithParent = true
    let program = try namespace.spawn(command)
    let any = PortBinding(.any(.ipv6), port, .tcp)
    while try namespace.kernel.heldPorts(among: [any], in: namespace.handle).isEmpty { sched_yield() }
    return {
      try program.signal(9)
      _ = try program.wait(timeout: .seconds(5))
    }
  }

  @Test(arguments: KernelUnderTest.available) func aHeldPortIsTold(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let other = try NetworkNamespace.create(on: namespace.kernel)
    let end = try hold(8080, in: namespace)
    let bindings = try [
      ("0.0.0.0", UInt16(8080), TransportProtocol.tcp), ("::", 8080, .tcp), ("127.0.0.1", 8080, .tcp),
      ("::1", 8080, .tcp), ("127.0.0.9", 8080, .tcp), ("fe80::1", 8080, .tcp), ("0.0.0.0", 8081, .tcp),
      ("0.0.0.0", 8080, .udp), ("::", 8080, .udp), ("::1", 8080, .udp),
    ].map { PortBinding(try IPAddress($0.0), $0.1, $0.2) }
    #expect(try namespace.kernel.heldPorts(among: bindings, in: namespace.handle) == Array(bindings[..<6]))
    #expect(try namespace.kernel.heldPorts(among: bindings.reversed(), in: other.handle) == [])
    // To ask is not to hold.
    #expect(try namespace.kernel.heldPorts(among: bindings + bindings, in: other.handle) == [])
    #expect(try namespace.kernel.heldPorts(among: [], in: namespace.handle) == [])
    try end()
    #expect(try namespace.kernel.heldPorts(among: bindings, in: namespace.handle) == [])
  }

  /// A reserved port is held, even against this process, until it is released.
  @Test(arguments: KernelUnderTest.available) func aReservationHolds(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let other = try NetworkNamespace.create(on: namespace.kernel)
    let (kernel, place) = (namespace.kernel, namespace.handle)
    let wanted = try [
      ("0.0.0.0", UInt16(8080), TransportProtocol.tcp), ("::", 8080, .tcp), ("127.0.0.1", 53, .udp), ("::1", 53, .udp),
    ].map { PortBinding(try IPAddress($0.0), $0.1, $0.2) }
    let free = try [("127.0.0.2", UInt16(53), TransportProtocol.udp), ("0.0.0.0", 53, .tcp)].map {
      PortBinding(try IPAddress($0.0), $0.1, $0.2)
    }
    var reservations = try kernel.reservePorts(wanted, in: place)
    #expect(reservations.map(\.binding) == wanted)
    #expect(try kernel.heldPorts(among: wanted + free, in: place) == wanted)
    #expect(try kernel.reservePorts(wanted + free, in: place).map(\.binding) == free)
    #expect(try kernel.heldPorts(among: wanted + free, in: other.handle) == [])
    reservations.removeFirst(2)
    #expect(try kernel.heldPorts(among: wanted, in: place) == Array(wanted[2...]))
    // A failure reserves none.
    let absent = PortBinding(try IPAddress("203.0.113.9"), 80, .tcp)
    #expect(throws: NetworkError.self) { try kernel.reservePorts([wanted[0], absent, wanted[1]], in: place) }
    #expect(try kernel.heldPorts(among: wanted, in: place) == Array(wanted[2...]))
    reservations = []
    #expect(try kernel.heldPorts(among: wanted, in: place) == [])
  }

  /// Without SCTP none of its ports can be reserved; with it they behave like others.
  @Test(arguments: [true, false]) func sctpIsUnsupportedWithoutIt(_ isReal: Bool) throws {
    guard !isReal || KernelUnderTest.available.contains(.linux) else { return }
    for hasIt in [true, false] {
      let kernel: any Kernel = isReal ? LinuxKernel() : SimulatedKernel(hasSCTP: hasIt)
      let namespace = try NetworkNamespace.create(on: kernel)
      let binding = PortBinding(.any(.ipv4), 80, .sctp)
      do throws(NetworkError) {
        let reservation = try kernel.reservePorts([binding], in: namespace.handle)
        #expect(try kernel.heldPorts(among: [binding], in: namespace.handle) == [binding])
        #expect(reservation.count == 1)
        #expect(isReal || hasIt)
      } catch {
        #expect(error.code == .unsupported)
        #expect(error.reason.contains("this kernel has no sctp (CONFIG_IP_SCTP, modprobe sctp)"))
        #expect(throws: error) { try kernel.heldPorts(among: [binding], in: namespace.handle) }
        #expect(isReal || !hasIt)
      }
    }
  }

  @Test(arguments: KernelUnderTest.available) func anAbsentAddressIsAnError(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    for (text, place) in [("203.0.113.9", "203.0.113.9"), ("2001:db8::9", "[2001:db8::9]")] {
      let address = try IPAddress(text)
      let error = #expect(throws: NetworkError.self) {
        try namespace.kernel.heldPorts(among: [PortBinding(address, 80, .udp)], in: namespace.handle)
      }
      #expect(error?.code == .notFound)
      #expect(
        error?.description.hasPrefix(
          "check whether \(place):80/udp is free: no link of the host has the address \(address); give it to one first")
          == true, "\(error as Any)")
      #expect(error?.kernel?.errno == .addressNotAvailable)
      let link = try namespace.links.createBridge(InterfaceName(address.family == .ipv4 ? "br4" : "br6")).index
      try namespace.addresses.add(InterfaceAddress(address: address, prefixLength: 24), to: link)
      try namespace.links.setUp(index: link)
      #expect(
        try namespace.kernel.heldPorts(among: [PortBinding(address, 80, .udp)], in: namespace.handle) == [])
    }
    // A host that lets programs bind to addresses that it does not have yet can publish on them, too.
    try namespace.setSysctl("net/ipv4/ip_nonlocal_bind", to: "1")
    let foreign = PortBinding(try IPAddress("198.51.100.1"), 80, .tcp)
    #expect(try namespace.kernel.heldPorts(among: [foreign], in: namespace.handle) == [])
  }

  /// A multicast or broadcast address is refused, although the kernel can bind to it.
  @Test(arguments: KernelUnderTest.available) func anAddressOfManyIsAnError(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let link = try namespace.links.createBridge(InterfaceName("br0")).index
    try namespace.addresses.add(InterfaceAddress("203.0.113.1/24"), to: link)
    try namespace.addresses.add(InterfaceAddress("198.51.100.0/31"), to: link)
    try namespace.links.setUp(index: link)
    for (text, what) in [
      ("203.0.113.255", "broadcast"), ("255.255.255.255", "broadcast"), ("224.0.0.1", "multicast"),
      ("ff02::1", "multicast"),
    ] {
      for transport in [TransportProtocol.tcp, .udp] {
        let binding = PortBinding(try IPAddress(text), 80, transport)
        let error = #expect(throws: NetworkError.self) {
          try namespace.kernel.heldPorts(among: [binding], in: namespace.handle)
        }
        #expect(error?.code == .invalidValue)
        #expect(error?.reason.hasPrefix("\(text) is a \(what) address") == true, "\(error as Any)")
        #expect(throws: NetworkError.self) { try namespace.kernel.reservePorts([binding], in: namespace.handle) }
      }
    }
    // Both addresses of a /31 are hosts'.
    let own = try ["203.0.113.1", "198.51.100.0", "127.255.255.254"].map { PortBinding(try IPAddress($0), 80, .udp) }
    #expect(try namespace.kernel.heldPorts(among: own, in: namespace.handle) == [])
  }

  @Test(arguments: KernelUnderTest.available) func noConnectionIsTracked(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    for transport in TransportProtocol.allCases { #expect(try namespace.connections.list(transport) == []) }
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
      let (source, destination) = (try IPAddress(source), try IPAddress(destination))
      let entry = ConntrackEntry(
        original: ConntrackTuple(.udp, from: source, 1, to: destination, 2),
        reply: ConntrackTuple(.udp, from: destination, 2, to: source, 1))
      let error = #expect(throws: NetworkError.self) { try namespace.connections.delete(entry) }
      #expect(error?.code == .notFound)
      #expect(error?.kernel?.request == "IPCTNL_MSG_CT_DELETE")
      #expect(error?.operation == "delete tracked connection udp src=\(source) dst=\(destination) sport=1 dport=2")
      // Of several, a missing one is no failure.
      try namespace.connections.delete([entry, entry])
    }
  }

  /// The kernel's refusals before its lookup: an empty tuple, an unknown family, a get without a tuple.
  @Test(arguments: KernelUnderTest.available) func badTuplesAreRefused(_ kernel: KernelUnderTest) throws {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let connection = try namespace.connection(.netfilter)
    let empty: [UInt8] = [4, 0, 1, 0x80]
    let good = ConntrackRequests.delete(
      ConntrackEntry(
        original: ConntrackTuple(.udp, from: .loopback(.ipv4), 1, to: .loopback(.ipv4), 2),
        reply: ConntrackTuple(.udp, from: .loopback(.ipv4), 2, to: .loopback(.ipv4), 1)))
    let cases: [(UInt16, [UInt8], Errno)] = [
      (0x0102, [2, 0, 0, 0] + empty, .invalidArgument), (0x0101, [2, 0, 0, 0], .invalidArgument),
      (0x0102, [7] + good.body.dropFirst(), .notSupportedOnSocket),
      (0x0102, [10] + good.body.dropFirst(), .invalidArgument), (0x0101, good.body, .noSuchFileOrDirectory),
    ]
    for (type, body, errno) in cases {
      let request = NetlinkRequest(type: type, body: body, name: "IPCTNL_MSG_CT", purpose: "ask for nonsense")
      let error = #expect(throws: NetworkError.self) { try connection.execute(request) }
      #expect(error?.kernel?.errno == errno, "\(type) \(body) \(error as Any)")
    }
    let noTuple = NetlinkRequest(
      type: 0x0101, body: [2, 0, 0, 0, 12, 0, 25, 0x80, 8, 0, 1, 0, 8, 0, 0, 0], name: "IPCTNL_MSG_CT_GET",
      purpose: "list by a filter without a tuple")
    let error = #expect(throws: NetworkError.self) { try connection.dump(noTuple) }
    #expect(error?.kernel?.errno == .invalidArgument, "\(error as Any)")
  }
}
