import ContainerNetworking
import Playground
import TestSupport
import Testing

/// What a trace says at its end of packets that the host has come to send elsewhere since our networks were made.
@Suite(.timeLimit(.minutes(5))) struct DetourTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    try world.setBridgeNetfilter(false)
    controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    try await controller.attach("web", to: .network("net"))
  }

  /// A link between the host and a namespace, that came after the network.
  private func addLink(_ name: String, to other: NetworkNamespace, _ addresses: [String]) throws -> Int32 {
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName(name), namespace: other.handle.descriptor))
    let end = try other.links.get(name).index
    for (namespace, link, address) in [(world.host, cable.index, addresses[0]), (other, end, addresses[1])] {
      try namespace.addresses.add(InterfaceAddress(address), to: link)
      try namespace.links.setUp(index: link)
    }
    return cable.index
  }

  private func trace(_ from: String, _ to: String) async throws -> PacketTrace {
    try await controller.trace(TraceRequest(from: from, to: to, timeout: .seconds(2)))
  }

  @Test func aRouteIntoTheSubnet() async throws {
    let far = try NetworkNamespace.create()
    let tun7 = try addLink("tun7", to: far, ["192.0.2.1/24", "192.0.2.2/24"])
    try world.host.routes.add(
      Route(to: try Subnet("10.60.0.0/28"), via: try IPAddress("192.0.2.2"), link: tun7))
    let bridge = "\(try #require(try await controller.network("net").bridge))"
    let detour =
      "10.60.0.2 is in the subnet 10.60.0.0/24 of network net, and goes out by tun7, not by its bridge \(bridge): "
      + "the route 10.60.0.0/28 via 192.0.2.2 of the host"
    let there = try await trace("host", "web:80")
    #expect(there.remarks.contains(detour), "\(there)")
    // The answer has the way there and not back: it would be sent on, if eth0 did not forward for our networks alone.
    let out = try await trace("web", "\(Playground.outsideAddress):80")
    #expect(out.remarks.contains(detour), "\(out)")
    #expect(out.outcome.kind == .dropped && out.outcome.text.contains("eth0 forwards for our networks alone"), "\(out)")
    #expect("\(out)".hasSuffix("note: \(out.remarks.last ?? "-")"))
    try await controller.removeAll()
  }

  @Test(arguments: [AddressFamily.ipv4, .ipv6]) func anAnswerByAnotherLink(_ family: AddressFamily) async throws {
    let isIPv4 = family == .ipv4
    if !isIPv4, (try? world.host.sysctl("net/ipv6/conf/all/force_forwarding")) == nil { return }
    let addresses = isIPv4 ? ["192.0.2.1/24", "192.0.2.2/24"] : ["2001:db8:77::1/64", "2001:db8:77::2/64"]
    _ = try addLink("tun7", to: world.outside, addresses)
    // New addresses of IPv6 are looked at for a second before they are used.
    await world.check(
      ["\(addresses[0].split(separator: "/")[0])", isIPv4 ? Playground.hostAddress : Playground.hostIPv6Address].map {
        .ping(("outside", world.outside), ("host", $0), true)
      })
    // The outside answers the host's own address by the other link.
    let host = isIPv4 ? Playground.hostAddress : Playground.hostIPv6Address
    try world.outside.routes.add(
      Route(
        to: Subnet(try IPAddress(host)), via: try IPAddress("\(addresses[0].split(separator: "/")[0])"),
        link: try world.outside.links.get("tun7").index))
    let outside = isIPv4 ? Playground.outsideAddress : "[\(Playground.outsideIPv6Address)]"
    let lost = try await trace("web", "\(outside):80/tcp")
    #expect(lost.outcome.kind == .lost, "\(lost)")
    #expect(
      lost.outcome.text.hasPrefix("the answer came in by tun7, but the request left by eth0; "),
      "\(lost)")
    let name = isIPv4 ? "net/ipv4/conf/tun7/forwarding" : "net/ipv6/conf/tun7/force_forwarding"
    #expect(lost.outcome.text.contains("tun7 does not forward \(family) (\(name) is 0)"), "\(lost)")
    // As it says.
    try await controller.attach("new", to: .network("net"))
    let answered = try await trace("web", "\(outside):80/tcp")
    #expect(answered.outcome.kind == .refused, "\(answered)")
    try await controller.removeAll()
  }

  /// What is kept from a link that its owner has forward says how it can be let pass.
  @Test func whatIsKeptFromAnOwnersLink() async throws {
    let lab = try NetworkNamespace.create()
    _ = try addLink("lab0", to: lab, ["192.0.2.1/24", "192.0.2.2/24"])
    try world.host.setSysctl("net/ipv4/conf/lab0/forwarding", to: "1")
    try lab.routes.add(
      Route(to: .all(.ipv4), via: try IPAddress("192.0.2.1"), link: try lab.links.get("lab0").index))
    try world.routeFromOutside(to: try Subnet("192.0.2.0/24"))
    async let waiting = controller.trace(
      try TraceRequest(from: "lab0", to: Playground.outsideAddress, timeout: .seconds(30)))
    let isUnderWay = try await eventually {
      try world.output("nft", "list", "tables", in: world.host)?.contains("bridge containernetworking-trace-") == true
    }
    #expect(isUnderWay)
    #expect(try !world.pings(Playground.outsideAddress, from: lab))
    let trace = try await waiting
    #expect(trace.outcome.kind == .dropped, "\(trace)")
    #expect(trace.outcome.text.hasPrefix("the answer, by inet containernetworking forward rule"), "\(trace)")
    #expect(
      trace.remarks == [
        "to let it pass: a rule before ours, iifname \"eth0\" oifname \"lab0\" meta mark set 0x636e6574, at the hook forward "
          + "with a priority below 0; or sysctl net.ipv4.ip_forward=1, where all links are to forward to all"
      ], "\(trace)")
    try await controller.removeAll()
  }
}
