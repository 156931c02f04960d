import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// `namespace.neighbors`: the same on every kernel.
@Suite struct NeighborContract {
  private func make(_ kernel: KernelUnderTest) throws -> (NetworkNamespace, [Int32]) {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let links = try ["br0", "br1"].map { try namespace.links.createBridge(InterfaceName($0)).index }
    for link in links { try namespace.links.setUp(index: link) }
    return (namespace, links)
  }

  private func refusal<Value>(_ body: () throws -> Value) -> NetworkError? {
    #expect(throws: NetworkError.self) { _ = try body() }
  }

  @Test(arguments: KernelUnderTest.available) func madeChangedAndForgotten(_ kernel: KernelUnderTest) throws {
    let (namespace, links) = try make(kernel)
    for text in ["10.0.0.2", "fd00::2"] {
      let address = try IPAddress(text)
      let first = Neighbor(address, macAddress: try MACAddress("02:00:00:00:00:02"), link: links[0])
      let second = Neighbor(address, macAddress: try MACAddress("02:00:00:00:00:03"), link: links[0])
      #expect(refusal { try namespace.neighbors.get(address, on: links[0]) }?.code == .notFound)
      try namespace.neighbors.add(first)
      #expect(try namespace.neighbors.get(address, on: links[0]) == first)
      #expect(try namespace.neighbors.list().contains(first))
      #expect(refusal { try namespace.neighbors.add(second) }?.code == .alreadyExists)
      #expect(try namespace.neighbors.get(address, on: links[0]) == first)
      try namespace.neighbors.replace(second)
      #expect(try namespace.neighbors.list(link: links[0]).filter { $0.address == address } == [second])
      #expect(try !namespace.neighbors.list(link: links[1]).contains { $0.address == address })
      #expect(refusal { try namespace.neighbors.delete(address, on: links[1]) }?.code == .notFound)
      try namespace.neighbors.delete(address, on: links[0])
      #expect(try namespace.neighbors.list().allSatisfy { $0.address != address || $0.state == .failed })
      let third = Neighbor(address, macAddress: try MACAddress("02:00:00:00:00:04"), link: links[1])
      try namespace.neighbors.replace(third)
      #expect(try namespace.neighbors.get(address, on: links[1]) == third)
    }
    for link: Int32 in [4711] {
      let stray = Neighbor(try IPAddress("10.0.0.9"), macAddress: try MACAddress("02:00:00:00:00:09"), link: link)
      #expect(refusal { try namespace.neighbors.add(stray) }?.code == .notFound)
      #expect(refusal { try namespace.neighbors.get(stray.address, on: link) }?.code == .notFound)
    }
  }

  @Test(arguments: KernelUnderTest.available) func aLinkThatGoesDownForgets(_ kernel: KernelUnderTest) throws {
    let (namespace, links) = try make(kernel)
    let neighbor = Neighbor(
      try IPAddress("10.0.0.2"), macAddress: try MACAddress("02:00:00:00:00:02"), link: links[0])
    try namespace.neighbors.add(neighbor)
    try namespace.links.setDown(index: links[0])
    #expect(try !namespace.neighbors.list().contains(neighbor))
  }

  /// A bridge's forwarding entry directs frames to its port, and can only be added for a port.
  @Test(arguments: KernelUnderTest.available) func aBridgeIsToldWhereSomebodyIs(_ kernel: KernelUnderTest) throws {
    let (namespace, links) = try make(kernel)
    let ports = try ["p0", "p1"].map { name in
      let port = try namespace.links.createVeth(
        VethEnd(try InterfaceName(name), master: links[0]), peer: VethEnd(try InterfaceName("\(name)x")))
      return (port.index, try namespace.links.get("\(name)x").index)
    }
    let mac = try MACAddress("02:00:00:00:00:02")
    let place = { (port: Int32) throws in
      _ = try namespace.connection(.route).execute(NeighborRequests.place(mac, behind: port))
    }
    let down = refusal { try place(ports[0].0) }
    #expect(down?.code == .permissionDenied)
    for (port, peer) in ports {
      try namespace.links.setUp(index: port)
      try namespace.links.setUp(index: peer)
      // So that it carries packets at once.
      _ = try namespace.links.get("p0")
      _ = try namespace.links.get("p1")
      try place(port)
      // Again, and to another port.
      try place(port)
    }
    let alone = refusal { try place(links[0]) }
    #expect(alone?.kernel?.errno == .notSupportedOnSocket || alone?.code == .unsupported)
    let gone = refusal { try place(4_711) }
    #expect(gone?.code == .notFound)
    // They are not neighbour entries.
    #expect(try !namespace.neighbors.list().contains { $0.macAddress == mac })
  }
}
