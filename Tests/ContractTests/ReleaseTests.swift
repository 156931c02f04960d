import ContainerNetworking
import ContainerNetworkingTestKit
import Netlink
import Synchronization
import TestSupport
import Testing

/// Ending without cleanup is safe: controllers, namespaces, sockets and their kernel may be released in any order, on
/// any thread, concurrently.
@Suite(.timeLimit(.minutes(5))) struct ReleaseTests {
  private func makeController(_ kernel: SimulatedKernel) async throws -> NetworkController {
    var settings = ControllerSettings()
    settings.resolvers = []
    return try await NetworkController(host: .create(on: kernel), settings: settings)
  }

  /// A namespace with a veth's end, held by nothing but the socket that is returned, which listens to its links.
  private func makeListener(_ number: Int, in host: Contract) throws -> any NetlinkSocket {
    let inside = try host.another()
    let end = VethEnd(try InterfaceName("eth0"), namespace: inside.namespace.descriptor)
    try host.route.execute(LinkRequests.createVeth(VethEnd(try InterfaceName("p\(number)")), peer: end, mtu: 1500))
    let socket = try host.kernel.openSocket(.route, in: inside.namespace)
    try socket.join(group: 1)
    return socket
  }

  /// The last reference of a listening socket may be released while an event is being delivered to it. Its namespace is
  /// then deleted, which is an event as well.
  @Test func listenersGoWhileEventsAreDelivered() async throws {
    let host = try Contract(SimulatedKernel())
    for _ in 0..<40 {
      let listeners = Mutex<[any NetlinkSocket]>([])
      for number in 0..<50 {
        let listener = try makeListener(number, in: host)
        listeners.withLock { $0.append(listener) }
      }
      let bridge = try host.makeBridge("br0")
      let released = Task.detached {
        while listeners.withLock({ $0.popLast() }) != nil {}
      }
      var isUp = false
      while try host.links().count > 2 {
        isUp.toggle()
        try host.route.execute(LinkRequests.change(bridge.index, LinkChange(isUp: isUp)))
        // With few threads, lets the releasing tasks run.
        await Task.yield()
      }
      await released.value
      try host.route.execute(LinkRequests.delete(bridge.index))
    }
    #expect(try host.links().map(\.name) == ["lo"])
  }

  @Test(arguments: [false, true])
  func controllersGoAtOnce(removingAll: Bool) async throws {
    for _ in 0..<3 {
      let kernel = SimulatedKernel()
      let before = kernel.snapshot()
      try await withThrowingTaskGroup { group in
        for _ in 0..<8 {
          group.addTask {
            let controller = try await makeController(kernel)
            try await controller.createNetwork("own", options: NetworkOptions(subnet: Subnet("10.1.0.0/24")))
            for number in 0..<3 {
              try await controller.attach(
                "c\(number)", options: AttachOptions(ports: [PortMapping("\(8080 + number):80")]))
            }
            try await controller.attach("own", to: .network("own"))
            if removingAll { try await controller.removeAll() }
          }
        }
        try await group.waitForAll()
      }
      // The controllers' threads may hold a namespace a moment longer than their callers.
      _ = try await eventually { kernel.snapshot() == before }
      let after = kernel.snapshot()
      #expect(after == before)
    }
  }

  /// Nothing but a sandbox, a socket or a namespace may be left of it all.
  @Test func whateverIsKeptLastKeepsTheRestUsable() async throws {
    for _ in 0..<10 {
      let sandbox = try await {
        let controller = try await makeController(SimulatedKernel())
        return try await controller.attach("web")
      }()
      // The host is gone, and took the other end of the pair with it.
      _ = try await eventually { try sandbox.namespace.links.list().count == 1 }
      #expect(try sandbox.namespace.links.list().map(\.name) == ["lo"])
    }
  }
}
