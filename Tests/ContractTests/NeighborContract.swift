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
}
