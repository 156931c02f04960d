import ContainerNetworkingTestKit
import SystemPackage
import Testing

@testable import ContainerNetworking

/// Removals of several things go on after a failure and report it, and a change that fails is not left in memory.
@Suite struct GoingOnTests {
  private let kernel = SimulatedKernel()
  private let host: NetworkNamespace
  private let controller: NetworkController

  init() async throws {
    host = try NetworkNamespace.create(on: kernel)
    controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
  }

  private func options(_ subnets: String...) throws -> NetworkOptions {
    var options = NetworkOptions()
    options.subnets = try subnets.map { try Subnet($0) }
    return options
  }

  @Test func eachElementIsTried() async throws {
    let firewall = controller.engine.firewall
    let network = try await controller.createNetwork("blue", options: options("10.1.0.0/24", "fd00:1::/64"))
    let web = try await controller.attach(
      "web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8080:80"), PortMapping("90:90/udp")]))
    let all = FirewallElements(web.endpoints[0], on: network)
    func present() throws -> Int {
      let content = try firewall.content()
      return all.list.reduce(0) { count, entry in
        let has = content.has(entry.set.name)
        return count + entry.elements.count { has.contains($0.identity) }
      }
    }
    let whole = try present()
    #expect(whole > 8)
    // One is gone, so that the rest is removed one by one. Each request is refused in turn.
    let first = try #require(all.list.first)
    let gone = all.filtered { set, element in set.name == first.set.name && element == first.elements.first }
    var left: Set<Int> = []
    for number in 1..<200 {
      try firewall.include(all)
      try firewall.remove(gone)
      kernel.failRequest(number: number)
      do throws(NetworkError) { try firewall.remove(all) } catch {
        #expect(error.kernel?.errno == .ioError)
        left.insert(try present())
      }
      guard !kernel.isFaultPending else { break }
    }
    kernel.clearFaults()
    // All of them, where none was tried yet; else the one that was refused, unless that is the one that is gone.
    #expect(left.contains(1) && left.isSubset(of: [whole - 1, 1, 0]), "\(left.sorted())")
    try await controller.removeAll()
  }

  @Test func eachUplinkIsSetBack() async throws {
    try host.links.createVeth(VethEnd(InterfaceName("eth0")), peer: VethEnd(InterfaceName("eth1")))
    func forwarding() throws -> [String] {
      try ["eth0", "eth1"].flatMap { link in
        try ["ipv4/conf/\(link)/forwarding", "ipv6/conf/\(link)/force_forwarding"].map { try host.sysctl("net/\($0)") }
      }
    }
    try await controller.createNetwork("blue", options: options("10.1.0.0/24", "fd00:1::/64"))
    #expect(try forwarding() == ["1", "1", "1", "1"])
    kernel.inject(.readOnlyFileSystem, onCall: "sysctl")
    let error = await #expect(throws: NetworkError.self) { try await controller.removeNetwork("blue") }
    #expect(error?.description.lowercased().contains("read-only file system") == true, "\(error as Any)")
    #expect(try forwarding().count { $0 == "1" } == 1)
    try await controller.removeNetwork("blue")
    #expect(try forwarding() == ["0", "0", "0", "0"])
  }

  @Test func anAdoptedBridgeLosesEachAddress() async throws {
    let bridge = try host.links.createBridge(InterfaceName("lan0"))
    try host.links.setUp(index: bridge.index)
    var options = try options("10.1.0.0/24", "fd00:1::/64")
    options.bridge = try InterfaceName("lan0")
    try await controller.createNetwork("lan", options: options)
    func own() throws -> Int {
      try host.addresses.list(link: bridge.index).count { !$0.address.address.isLinkLocal }
    }
    #expect(try own() == 2)
    kernel.inject(.noMemory, on: RequestType.deleteAddress)
    await #expect(throws: NetworkError.self) { try await controller.removeNetwork("lan") }
    #expect(try own() == 1)
    try await controller.removeNetwork("lan")
    #expect(try own() == 0)
    #expect(try host.links.list().contains { $0.name == "lan0" })
  }

  /// A transfer of addresses that is not saved, since something behind it fails.
  @Test func aTransferThatFailsIsForgotten() async throws {
    let network = try await controller.createNetwork("blue", options: options("10.1.0.0/24"))
    let web = try await controller.attach("web", to: .network("blue"))
    let endpoint = web.endpoints[0]
    let engine = controller.engine
    #expect(throws: NetworkError.self) {
      try engine.transaction { (transaction) throws(NetworkError) in
        try transaction.transfer(endpoint, to: "side", on: network)
        throw NetworkError(.refused, operation: "hand over")
      }
    }
    let holder = try engine.transaction { (transaction) throws(NetworkError) in
      try transaction.pool(of: network, network.subnets[0]).owner(of: endpoint.address.address)
    }
    #expect(holder == "web")
    try await controller.removeAll()
  }
}
