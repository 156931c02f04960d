import ContainerNetworkingTestKit
import Netlink
import NetworkPrimitives
import Testing

/// The TestKit's reports about a kernel and about this process.
@Suite struct SnapshotTests {
  @Test func undoneChangesLeaveTheSameText() throws {
    let kernel = SimulatedKernel()
    let contract = try Contract(kernel)
    let before = kernel.snapshot()
    let bridge = try contract.makeBridge("br0")
    try contract.route.execute(LinkRequests.change(bridge.index, LinkChange(isUp: true)))
    try contract.route.execute(AddressRequests.add(InterfaceAddress("10.0.0.1/24"), to: bridge.index))
    let lines = kernel.snapshot().split(separator: "\n")
    #expect(lines.contains("  link 2 br0 bridge up mtu 1500"))
    #expect(lines.contains("    address 10.0.0.1/24"))
    try contract.route.execute(LinkRequests.delete(bridge.index))
    #expect(kernel.snapshot() == before)
  }

  @Test func noThreadIsLeftElsewhere() throws {
    let kernel = SimulatedKernel()
    _ = try kernel.makeNamespace()
    #expect(try LeakDetector.threadsOutside().isEmpty)
  }
}
