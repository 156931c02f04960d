import ContainerNetworkingTestKit
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// The faults that the simulated kernel can inject.
@Suite struct FaultTests {
  private let kernel = SimulatedKernel()

  @Test func injectedErrorComesAsOftenAsAsked() throws {
    let contract = try Contract(kernel)
    kernel.inject(.noMemory, on: RequestType.newLink, times: 2)
    let request = LinkRequests.createBridge(try InterfaceName("br0"), macAddress: nil, mtu: 1500)
    for _ in 0..<2 { #expect(contract.refusal(request)?.kernel?.errno == .noMemory) }
    try contract.route.execute(request)
    kernel.inject(.noSpace, onCall: "unshare")
    #expect(throws: NetworkError.self) { try kernel.makeNamespace() }
  }

  @Test func eachRequestCanFailInTurn() throws {
    let contract = try Contract(kernel)
    let before = kernel.requestCount
    kernel.failRequest(number: 2)
    try contract.makeBridge("br0")
    #expect(throws: NetworkError.self) { try contract.makeBridge("br1") }
    try contract.makeBridge("br1")
    #expect(kernel.requestCount == before + 3)
    #expect(try contract.links().map(\.name) == ["lo", "br0", "br1"])
  }

  @Test func dumpsAreReadAgain() throws {
    let contract = try Contract(kernel)
    kernel.interruptDumps(times: 3)
    #expect(try contract.links().count == 1)
    kernel.truncateDumps(times: 2)
    #expect(try contract.links().count == 1)
    kernel.interruptDumps(times: NetlinkConnection.dumpAttempts)
    let error = #expect(throws: NetworkError.self) { try contract.links() }
    #expect(error?.code == .interrupted)
  }

  @Test func aLostAnswerSaysSoThoughTheChangeWasMade() throws {
    let contract = try Contract(kernel)
    kernel.loseAnswers()
    let error = #expect(throws: NetworkError.self) { try contract.makeBridge("br0") }
    #expect(error?.code == .replyLost)
    #expect(try contract.links().map(\.name) == ["lo", "br0"])
  }

  @Test func withoutPrivilegeNothingChanges() throws {
    let kernel = SimulatedKernel(privileged: false)
    #expect(throws: NetworkError.self) { try kernel.makeNamespace() }
    let host = try kernel.currentNamespace()
    let route = try NetlinkConnection(.route, in: host, of: kernel)
    let up = LinkRequests.change(1, LinkChange(isUp: true))
    let error = #expect(throws: NetworkError.self) { try route.execute(up) }
    #expect(error?.code == .permissionDenied)
    #expect(try route.dump(LinkRequests.list()).count == 1)
  }

  @Test func eventsReachWhoJoined() throws {
    let contract = try Contract(kernel)
    let socket = try kernel.openSocket(.route, in: contract.namespace)
    try socket.join(group: 1)
    try contract.makeBridge("br0")
    let event = try #require(try socket.nextEvent())
    #expect(try NetlinkMessage.parse(event[...]).map { try Link($0).name } == ["br0"])
    socket.interrupt()
    #expect(try socket.nextEvent() == nil)
  }

  @Test func aNamespaceThatNobodyHoldsTakesItsLinks() throws {
    let host = try Contract(kernel)
    do {
      let container = try host.another()
      let end = VethEnd(try InterfaceName("eth0"), namespace: container.namespace.descriptor)
      try host.route.execute(LinkRequests.createVeth(VethEnd(try InterfaceName("port0")), peer: end, mtu: 1500))
      #expect(try host.links().count == 2)
      try kernel.pinNamespace(container.namespace, at: "/run/netns/c")
    }
    #expect(try host.links().count == 2)
    try kernel.unpinNamespace(at: "/run/netns/c")
    #expect(try host.links().map(\.name) == ["lo"])
  }
}
