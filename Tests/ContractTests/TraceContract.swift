import ContainerNetworking
import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage
import TestSupport
import Testing

/// The parts of traces: on a kernel with packets they work, on one without they are refused as unsupported.
@Suite(.timeLimit(.minutes(10))) struct TraceContract {
  @Test(arguments: KernelUnderTest.available) func aTableThatBelongsToItsSocket(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let other = try NetlinkConnection(.netfilter, in: contract.namespace, of: contract.kernel)
    let table = NftTable(family: .inet, name: "t")
    var changes = NftTransaction()
    try changes.add(table, isOwned: true)
    do {
      let owner = try NetlinkConnection(.netfilter, in: contract.namespace, of: contract.kernel)
      guard kernel == .linux else {
        #expect(refusal { try changes.commit(over: owner) }?.code == .unsupported)
        return
      }
      try changes.commit(over: owner)
      var deletion = NftTransaction()
      deletion.delete(table)
      #expect(refusal { try deletion.commit(over: other) }?.code == .permissionDenied)
      #expect(try other.dump(NftRequests.tables()).count == 1)
      withExtendedLifetime(owner) {}
    }
    // The kernel takes it away when the socket is closed, before close(2) returns or a moment later.
    #expect(try waitUntil { try other.dump(NftRequests.tables()).isEmpty })
  }

  @Test(arguments: KernelUnderTest.available) func aProbe(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let namespace = NetworkNamespace(contract.namespace, of: contract.kernel)
    try namespace.links.setUp(index: 1)
    let loopback = try IPAddress("127.0.0.1")
    let nobody = ProbePacket(.tcp(9), from: loopback, to: loopback)
    guard kernel == .linux else {
      #expect(refusal { _ = try contract.kernel.openProbe(nobody, in: contract.namespace) }?.code == .unsupported)
      return
    }
    for (packet, expected) in [
      (nobody, ProbeAnswer.failed(.connectionRefused, by: nil)),
      (ProbePacket(.udp(9), from: loopback, to: loopback), .failed(.connectionRefused, by: loopback)),
      (ProbePacket(.echo, from: loopback, to: loopback), .answered),
      (ProbePacket(.echo, to: try IPAddress("::1")), .answered),
    ] {
      let probe = try contract.kernel.openProbe(packet, in: contract.namespace)
      #expect(probe.sourcePort != 0)
      try probe.send()
      #expect(try probe.wait(timeout: .seconds(10)) == expected, "\(packet)")
    }
    let strange = ProbePacket(.udp(9), from: try IPAddress("192.0.2.1"), to: loopback)
    #expect(
      refusal { _ = try contract.kernel.openProbe(strange, in: contract.namespace) }?.kernel?.errno
        == .addressNotAvailable)
    // Without a route.
    let far = try contract.kernel.openProbe(
      ProbePacket(.udp(9), to: try IPAddress("192.0.2.1")), in: contract.namespace)
    #expect(refusal { try far.send() }?.kernel?.errno == .networkUnreachable)
    let quiet = try contract.kernel.openProbe(ProbePacket(.udp(9), to: loopback), in: contract.namespace)
    #expect(try quiet.wait(timeout: .milliseconds(1)) == nil)
  }

  @Test(arguments: KernelUnderTest.available) func theRouteOfAPacketThatCameIn(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let namespace = NetworkNamespace(contract.namespace, of: contract.kernel)
    let link = try namespace.links.createVeth(
      VethEnd(try InterfaceName("a")), peer: VethEnd(try InterfaceName("b")))
    for name in ["a", "b"] { try namespace.links.setUp(index: try namespace.links.get(name).index) }
    try namespace.addresses.add(try InterfaceAddress("10.0.0.1/24"), to: link.index)
    func get(_ source: String, _ destination: String) throws(NetworkError) -> Route {
      try namespace.routes.get(to: try IPAddress(destination), from: try IPAddress(source), by: link.index)
    }
    guard kernel == .linux else {
      #expect(refusal { _ = try get("10.0.0.2", "10.0.0.1") }?.code == .unsupported)
      return
    }
    #expect(try get("10.0.0.2", "10.0.0.1").kind == .local)
    // A source that only the host itself has is a martian. One without a return route is refused if that is checked.
    // Nothing is forwarded while forwarding is off.
    #expect(refusal { _ = try get("127.0.0.1", "10.0.0.1") }?.kernel?.errno == .invalidArgument)
    try namespace.setSysctl("net/ipv4/conf/a/rp_filter", to: "1")
    // EXDEV, or of late EINVAL as for a martian.
    let errno = refusal { _ = try get("192.0.2.1", "10.0.0.1") }?.kernel?.errno
    #expect(errno == .invalidArgument || errno?.rawValue == 18)
    #expect(refusal { _ = try get("10.0.0.2", "192.0.2.1") }?.kernel?.errno == .noRouteToHost)
  }

  private func refusal(_ body: () throws -> Void) -> NetworkError? {
    #expect(throws: NetworkError.self) { try body() }
  }
}
