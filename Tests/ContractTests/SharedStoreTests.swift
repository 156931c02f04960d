import ContainerNetworkingTestKit
import Synchronization
import Testing

@testable import ContainerNetworking

/// Two controllers on one store: a change by one costs the other that change only, however many records there are.
@Suite struct SharedStoreTests {
  /// A store that counts the changes it reports.
  private final class CountingStore: Store {
    private let real = MemoryStore()
    private let told = Mutex<(changes: Int, complete: Int)>((0, 0))

    /// The changes reported since the last call, and the number of complete reports.
    func count() -> (changes: Int, complete: Int) {
      told.withLock { told in
        defer { told = (0, 0) }
        return told
      }
    }

    private func note(_ delta: StoreDelta) {
      told.withLock { told in
        told.changes += delta.changes.count
        if delta.isComplete { told.complete += 1 }
      }
    }

    var token: String { real.token }
    func isAlive(_ token: String) -> Bool { real.isAlive(token) }
    func read(since revision: UInt64) throws(NetworkError) -> StoreDelta {
      let delta = real.read(since: revision)
      note(delta)
      return delta
    }
    func update<Value: Sendable>(
      since revision: UInt64, _ durability: StoreDurability,
      _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
    ) throws(NetworkError) -> (Value, UInt64) {
      try real.update(since: revision, durability) { (delta) throws(NetworkError) in
        note(delta)
        return try body(delta)
      }
    }
    func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
      try real.exclusively(body)
    }
    func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
      real.events(after: number)
    }
  }

  private let kernel = SimulatedKernel()
  private let store = CountingStore()

  private func makeController(_ host: NetworkNamespace) async throws -> NetworkController {
    try await NetworkController(host: host, store: store, settings: ControllerSettings(resolvers: []))
  }

  /// Records that many more containers like an attached one; they are not in the kernel.
  private func add(_ count: Int, like container: String) throws {
    let records = try store.read(since: 0).changes
    var changes: [StoreChange] = []
    for case .save(.sandbox(let sandbox)) in records where sandbox.container == container {
      for case .save(.endpoint(let endpoint)) in records where endpoint.container == container {
        for index in 0..<count {
          var (sandbox, endpoint) = (sandbox, endpoint)
          sandbox.container = "more\(index)"
          sandbox.sandboxID = makeID()
          sandbox.namespacePath = "/run/netns/none-\(index)"
          endpoint.id = makeID()
          endpoint.container = sandbox.container
          endpoint.sandboxID = sandbox.sandboxID
          endpoint.hostInterface = try InterfaceName("vethx\(index)")
          endpoint.addresses = [try InterfaceAddress("172.17.\(8 + index / 250).\(1 + index % 250)/16")]
          endpoint.ports = []
          changes += [.save(.sandbox(sandbox)), .save(.endpoint(endpoint))]
        }
      }
    }
    let all = changes
    _ = try store.update(since: 0, .process) { _ in ((), all) }
  }

  @Test(.timeLimit(.minutes(5)), arguments: [1, 1_000]) func aChangeOfAnotherCostsThatChange(count: Int) async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let first = try await makeController(host)
    try await first.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    try add(count, like: "web")
    let second = try await makeController(host)
    // Opening reads the unsettled records, here of a complete report.
    try await second.attach("own")
    try await first.attach("own2")
    _ = store.count()
    // By turns: each reads exactly the other's changes.
    for turn in 0..<5 {
      try await first.attach("a\(turn)")
      try await second.attach("b\(turn)")
      try await first.detach("b\(turn)")
      #expect(try await second.network("bridge").phase == .ready)
      try await second.detach("a\(turn)")
    }
    let told = store.count()
    #expect(told.complete == 0)
    // Sandbox, endpoint and pool, before and after, four times a turn; a read without changes reports none.
    #expect(told.changes <= 5 * 4 * 6)
    #expect(told.changes > 5)
  }

  /// The pools that one has built are kept current, and equal newly built ones.
  @Test(.timeLimit(.minutes(5))) func poolsAreKeptUpWithOthers() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(host)
    try await controller.createNetwork(
      "blue", options: NetworkOptions(subnet: try Subnet("10.9.0.0/24"), isIPv6Enabled: true))
    var state = EngineState()
    func follow() throws -> Bool {
      let delta = try store.read(since: state.revision)
      _ = state.take(delta)
      return delta.isComplete
    }
    #expect(try follow())
    func pools(_ state: inout EngineState) throws -> [AddressPool] {
      let network = try state.network("blue")
      return try network.subnets.map { try state.pool(of: network, $0) }
    }
    _ = try pools(&state)
    #expect(state.pools.count == 2)
    let fixed = AttachOptions(address: try IPAddress("10.9.0.77"))
    for turn in 0..<40 {
      switch turn % 5 {
      case 0, 1, 2: try await controller.attach("c\(turn)", to: .network("blue"))
      case 3:
        try await controller.attach("fixed", to: .network("blue"), options: fixed)
        try await controller.stop("fixed")
      default:
        try await controller.detach("c\(turn - 2)")
        try await controller.attach("fixed", to: .network("blue"))
        try await controller.detach("fixed")
      }
      let isComplete = try follow()
      #expect(!isComplete)
      #expect(state.pools.count == 2, "turn \(turn)")
      var fresh = EngineState()
      _ = fresh.take(try store.read(since: 0))
      let (kept, built) = (try pools(&state), try pools(&fresh))
      #expect(kept == built, "turn \(turn)")
    }
  }
}
