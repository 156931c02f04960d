import ContainerNetworking
import Foundation
import SystemPackage
import Testing

/// The examples of `Documentation/KernelObjects.md`, run on the real kernel; the page holds them word for word.
@Suite struct KernelObjectsDocumentTests {
  /// A namespace with a link that is up and has no address of its own.
  private func makeLink() throws -> (NetworkNamespace, Int32) {
    let namespace = try NetworkNamespace.create()
    let link = try namespace.links.createBridge(InterfaceName("br0")).index
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    try namespace.links.change(link, quiet)
    try namespace.links.setUp(index: link)
    return (namespace, link)
  }

  @Test func namespaces() throws {
    let path = FilePath("/tmp/cn-page-\(UUID().uuidString)")

    // example
    let namespace = try NetworkNamespace.create()
    try namespace.pin(at: path)
    let again = try NetworkNamespace.open(at: path)
    print(again.identity == namespace.identity, try NetworkNamespace.named().map(\.name))
    try NetworkNamespace.unpin(at: path)
    // end
    #expect(again.identity == namespace.identity)
    #expect(throws: NetworkError.self) { try NetworkNamespace.open(at: path) }
  }

  @Test func links() throws {
    let namespace = try NetworkNamespace.create()

    // example
    let pair = try namespace.links.createVeth(VethEnd(InterfaceName("eth0")), peer: VethEnd(InterfaceName("peer0")))
    try namespace.links.setMTU(1400, of: pair.index)
    try namespace.links.setAlias("towards the switch", of: pair.index)
    try namespace.links.setGroup(7, of: pair.index)
    print(try namespace.links.get("eth0").alias ?? "", try namespace.links.list().map(\.name))
    try namespace.links.delete(group: 7)
    // end
    #expect(try namespace.links.list().map(\.name) == ["lo"])
  }

  @Test func bridges() throws {
    let namespace = try NetworkNamespace.create()

    // example
    var options = BridgeOptions()
    options.ageingTime = .seconds(60)
    options.snoopsMulticast = false
    let bridge = try namespace.links.createBridge(InterfaceName("br0"), options: options)
    let port = try namespace.links.createVeth(
      VethEnd(InterfaceName("port0"), master: bridge.index), peer: VethEnd(InterfaceName("eth0")))
    var portOptions = BridgePortOptions()
    portOptions.isIsolated = true
    try namespace.links.changeBridgePort(port.index, portOptions)
    options.ageingTime = .seconds(300)
    try namespace.links.changeBridge(bridge.index, options)
    print(try namespace.links.get(port.index).bridgePort?.isIsolated ?? false)
    // end
    #expect(try namespace.links.get(port.index).bridgePort?.isIsolated == true)
    #expect(try namespace.links.get(bridge.index).bridge?.ageingTime == .seconds(300))
  }

  @Test func macvlanAndIpvlan() throws {
    let namespace = try NetworkNamespace.create()
    let parent = try namespace.links.createBridge(InterfaceName("parent")).index

    // example
    let lan = try namespace.links.createMacvlan(VethEnd(InterfaceName("lan0")), parent: parent, mode: .private)
    print(lan.macvlanMode == .private)
    try namespace.links.delete(index: lan.index)  // a parent carries macvlans or ipvlans, not both
    do {
      try namespace.links.createIpvlan(VethEnd(InterfaceName("ip0")), parent: parent, mode: .l3)
    } catch {
      print(error.code, error.reason)  // unsupported: this kernel has no ipvlan links; load the module …
    }
    // end
    #expect(lan.macvlanMode == .private)
  }

  @Test func tunnels() throws {
    let namespace = try NetworkNamespace.create()
    let ends = (VethEnd(try InterfaceName("eth0")), VethEnd(try InterfaceName("peer0")))
    let underlay = try namespace.links.createVeth(ends.0, peer: ends.1).index

    // example
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    var options = VxlanOptions(4096, local: try IPAddress("192.0.2.1"))
    options.learnsAddresses = false
    options.answersNeighbors = true
    options.underlay = underlay
    let tunnel = try namespace.links.createVxlan(VethEnd(InterfaceName("vx0"), master: bridge.index), options)
    print(tunnel.mtu, options.overhead)  // 1450 and 50 over a link of 1500

    let (mac, address) = (try MACAddress("02:42:0a:00:00:02"), try IPAddress("10.0.0.2"))
    let far = ForwardingEntry(mac, on: tunnel.index, to: try IPAddress("192.0.2.2"))
    let requests = [
      ForwardingRequests.replace(far), ForwardingRequests.replace(ForwardingEntry(mac, behind: tunnel.index)),
      NeighborRequests.replace(Neighbor(address, macAddress: mac, link: tunnel.index)),
    ]
    let outcomes = try namespace.connection(.route).perform(requests)  // in one send
    print(
      outcomes.allSatisfy { $0.error == nil }, try namespace.forwardingEntries.list(link: tunnel.index).contains(far))

    let moved = ForwardingEntry(mac, on: tunnel.index, to: try IPAddress("192.0.2.3"))
    try namespace.forwardingEntries.replace(moved)
    try namespace.links.changeVxlan(tunnel.index, VxlanChange(local: IPAddress("192.0.2.9")))
    try namespace.forwardingEntries.delete(mac, on: tunnel.index, in: .link)
    // end
    #expect(tunnel.mtu == 1450)
    #expect(outcomes.allSatisfy { $0.error == nil })
    #expect(try namespace.links.get(tunnel.index).vxlan?.local?.description == "192.0.2.9")
    let left = try namespace.forwardingEntries.list(link: tunnel.index).filter { $0.macAddress == mac }
    #expect(left == [ForwardingEntry(mac, behind: tunnel.index)])
    #expect(try namespace.neighbors.list(link: tunnel.index).contains { $0.address == address })
  }

  @Test func addresses() throws {
    let (namespace, link) = try makeLink()

    // example
    var options = AddressOptions()
    options.validLifetime = .seconds(3600)
    try namespace.addresses.add(InterfaceAddress("10.0.0.1/24"), to: link, options: options)
    try namespace.addresses.replace(InterfaceAddress("10.0.0.1/24"), of: link)  // for good
    let address = try namespace.addresses.get(InterfaceAddress("10.0.0.1/24"), of: link)
    print(address.flags.contains(.permanent), try namespace.addresses.list(link: link).count)
    try namespace.addresses.remove(InterfaceAddress("10.0.0.1/24"), from: link)
    // end
    #expect(address.flags.contains(.permanent))
    #expect(try namespace.addresses.list(link: link).isEmpty)
  }

  @Test func routes() throws {
    let (namespace, link) = try makeLink()
    try namespace.addresses.add(InterfaceAddress("10.0.0.1/24"), to: link)

    // example
    try namespace.routes.add(Route(to: Subnet("10.9.0.0/16"), via: IPAddress("10.0.0.2"), metric: 10))
    try namespace.routes.replace(Route(to: Subnet("10.9.0.0/16"), via: IPAddress("10.0.0.3"), metric: 10))
    try namespace.routes.add(Route(to: Subnet("10.8.0.0/16"), table: 100, kind: .prohibit))
    let way = try namespace.routes.get(to: IPAddress("10.9.1.1"))
    print(way.gateway!, way.preferredSource!, try namespace.routes.list(table: 100).count)
    try namespace.routes.delete(Route(to: Subnet("10.9.0.0/16"), metric: 10))
    // end
    #expect(way.gateway?.description == "10.0.0.3" && way.preferredSource?.description == "10.0.0.1")
    #expect(try namespace.routes.list(table: 100).map(\.kind) == [.prohibit])
  }

  @Test func neighbors() throws {
    let (namespace, link) = try makeLink()

    // example
    let address = try IPAddress("10.0.0.2")
    try namespace.neighbors.add(Neighbor(address, macAddress: MACAddress("02:42:0a:00:00:02"), link: link))
    try namespace.neighbors.replace(Neighbor(address, macAddress: MACAddress("02:42:0a:00:00:03"), link: link))
    print(try namespace.neighbors.get(address, on: link).state == .permanent)
    try namespace.neighbors.delete(address, on: link)
    // end
    #expect(try namespace.neighbors.list(link: link).allSatisfy { $0.state != .permanent })
  }

  @Test(.timeLimit(.minutes(5))) func changes() async throws {
    let namespace = try NetworkNamespace.create()

    // example
    let changes = try namespace.changes(of: [.links, .addresses])
    try namespace.links.createBridge(InterfaceName("br0"))
    for try await change in changes {
      switch change {
      case .linkChanged(let link): print("\(link.name) is \(link.flags.contains(.up) ? "up" : "down")")
      case .lost: print(try namespace.links.list().map(\.name))  // resync
      default: continue
      }
      break
    }
    // end
  }

  @Test(.timeLimit(.minutes(5))) func rulesetChanges() async throws {
    let namespace = try NetworkNamespace.create()

    // example
    let changes = try namespace.rulesetChanges()
    var transaction = NftTransaction()
    try transaction.add(NftTable(family: .inet, name: "mine"))
    try transaction.commit(over: namespace.connection(.netfilter))
    for try await change in changes {
      guard case .generation(let generation) = change else { continue }
      print("\(generation.number) by \(generation.processName)")
      break
    }
    // end
  }

  @Test func pageHoldsTheExamples() throws {
    let own = URL(filePath: #filePath)
    let source = try String(contentsOf: own, encoding: .utf8)
    let path = own.deletingLastPathComponent().appending(path: "../../Documentation/KernelObjects.md")
    let page = try String(contentsOf: path, encoding: .utf8)
    let examples = source.matches(of: #/(?s)    // example\n(.*?)\n    // end\n/#).map { match in
      match.1.split(separator: "\n", omittingEmptySubsequences: false).map { $0.dropFirst(4) }.joined(separator: "\n")
    }
    let blocks = page.matches(of: #/(?s)```swift\n(.*?)\n```/#).map { String($0.1) }
    #expect(examples.count == 10)
    #expect(blocks == examples)
  }

  /// Every call of the page's table is a function of the library.
  @Test func tableNamesWhatThereIs() throws {
    let own = URL(filePath: #filePath).deletingLastPathComponent()
    let path = own.appending(path: "../../Documentation/KernelObjects.md")
    let page = try String(contentsOf: path, encoding: .utf8)
    var sources = ""
    for folder in ["ContainerNetworking", "Netlink"] {
      let root = own.appending(path: "../../Sources/\(folder)")
      let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL {
        if file.pathExtension == "swift" { sources += try String(contentsOf: file, encoding: .utf8) }
      }
    }
    let table = page.split(separator: "\n").filter { $0.hasPrefix("| ") }.joined()
    let calls = Set(
      table.matches(of: #/(\w+)\([\w:]*\)`/#).map { String($0.1) }.filter { $0 != "unshare" && $0 != "mount" })
    #expect(calls.count > 25)
    for call in calls {
      #expect(sources.contains("public func \(call)(") || sources.contains("static func \(call)("), "\(call)")
    }
  }
}
