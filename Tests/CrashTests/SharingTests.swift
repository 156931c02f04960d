import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import TestSupport
import Testing

/// Several users of one state, each of which knows only by the record what the others did.
@Suite(.timeLimit(.minutes(40))) struct SharingTests {
  /// A container that another process stopped and attached again is in a new namespace; the old one is not held any more.
  @Test func anothersRestartOfAContainerIsNoticed() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let one = try await crash.open()
    let other = try await crash.open()
    try await one.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.6.0.0/24")))
    let address = try IPAddress("10.6.0.9")
    let options = AttachOptions(address: address)
    let old = Held(try await one.attach("db", to: .network("blue"), options: options).namespace)
    try await other.stop("db")
    let new = try await other.attach("db", to: .network("blue")).namespace.identity
    #expect(new != old.identity)
    let seen = Held(try await one.sandbox("db").namespace)
    #expect(seen.identity == new)
    #expect(try await old.isLetGo())
    #expect(try await one.differences() == [])

    try await other.detach("db")
    #expect(try await one.sandboxes().isEmpty)
    #expect(try await seen.isLetGo())
    try await crash.end()
  }

  /// A namespace that others may hold open; not known by its inode, which the next one may get.
  private final class Held {
    private weak var namespace: NetworkNamespace?
    let identity: NamespaceIdentity

    init(_ namespace: NetworkNamespace) {
      self.namespace = namespace
      identity = namespace.identity
    }

    /// Whether its last holder has released it soon.
    func isLetGo() async throws -> Bool {
      try await eventually { namespace == nil }
    }
  }

  /// A namespace held open by another live process is that process's concern.
  @Test func whatAnotherHoldsOpenIsNotTakenForGone() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let settings = ControllerSettings(resolvers: [])
    let one = try await NetworkController(
      host: world.host, store: SQLiteStore(at: crash.directory), settings: settings)
    do {
      let other = try await NetworkController(
        host: world.host, store: SQLiteStore(at: crash.directory), settings: settings)
      try await other.attach("alone", to: .none)
      let web = try await other.attach("web")
      #expect(try await one.differences() == [])
      let port = try #require(web.endpoints[0].hostInterface)
      try world.host.links.delete(index: world.host.links.get("\(port)").index)
      try await one.reconcile()
      #expect(try await other.sandboxes().map(\.container) == ["alone", "web"])
      try await other.reconcile()
      #expect(try await other.differences() == [])
    }
    // Now its holder is gone, and so is the namespace once the kernel has deleted it.
    var gone: Set<String> = []
    let isSeen = try await eventually {
      gone = Set(try await one.differences().filter { $0.kind == .namespaceGone }.compactMap(\.container))
      return gone == ["alone", "web"]
    }
    #expect(isSeen, "\(gone)")
    // Its pair went with it, and is neither reported nor restored.
    let report = try await one.reconcile()
    #expect(Set(report.found.map(\.kind)) == [.namespaceGone] && report.remaining == [])
    #expect(try await one.differences() == [])
    try await one.removeAll()
    try await crash.end()
  }

  /// A deleted namespace's number is reused by another container's namespace, and the old container's record is not
  /// matched to that.
  @Test func aNumberIsNotTakenForANamespace() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let one = try await crash.open()
    var isReused = false
    for _ in 0..<300 where !isReused {
      let old: NamespaceIdentity
      do {
        let other = try await crash.open()
        let given = try NetworkNamespace.create()
        let path = crash.directory.appending("given")
        try given.pin(at: path)
        old = given.identity
        try await other.attach("old", namespace: NetworkNamespace.open(at: path))
        try NetworkNamespace.unpin(at: path)
      }
      // The kernel is not done with a namespace when its last holder is gone.
      var found: [Difference] = []
      for _ in 0..<3_000 where found.map(\.kind) != [.namespaceGone] {
        found = try await one.differences()
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(found.map(\.container) == ["old"])
      let next = try (0..<8).map { _ in try NetworkNamespace.create() }
      if let same = next.first(where: { $0.identity == old }) {
        isReused = true
        try await one.attach("new", namespace: same)
        #expect(try await one.sandboxes().map(\.container) == ["new"])
        #expect(try await one.reconcile().remaining == [])
        #expect(try await one.sandboxes().map(\.container) == ["new"])
        try await one.detach("new")
      } else {
        try await one.reconcile()
      }
    }
    #expect(isReused, "no namespace got the number of one that was gone, in 300 tries")
    try await crash.end()
  }

  /// A foreign pin at a container's path stays, whenever the process dies.
  @Test func anothersPinIsLeftAlone() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let foreign = try NetworkNamespace.create()
    let path = crash.directory.appending("netns").appending("web")
    try foreign.pin(at: path)
    defer { try? NetworkNamespace.unpin(at: path) }
    // The default network stays throughout.
    #expect(try crash.run(0, ["attach", "first", "bridge"]).output.hasPrefix("steps "))
    var step = 1
    while try crash.run(step, ["attach", "web", "bridge"]).isKilled {
      let controller = try await crash.open()
      try #require(try NetworkNamespace.open(at: path).identity == foreign.identity, "step \(step)")
      #expect(try await controller.differences() == [], "step \(step)")
      step += 1
    }
    #expect(step > 3)
    try NetworkNamespace.unpin(at: path)
    try await crash.end()
  }

  /// A foreign bridge under the name planned for a network's, after two processes died while creating that.
  @Test func anothersBridgeIsLeftAloneAfterTwoCrashes() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    _ = try await crash.open()
    // Died once the network was recorded.
    #expect(try crash.run(2, ["create", "blue", "10.7.0.0/24", "blue0"]).isKilled)
    try world.host.links.createBridge(InterfaceName("blue0"))
    let index = try world.host.links.get("blue0").index
    // Died once it had taken over the record.
    #expect(try crash.run(2, ["prune"]).isKilled)
    _ = try await crash.open()
    #expect(try world.host.links.list().contains { $0.index == index })
    try? world.host.links.delete(index: index)
    try await crash.end()
  }

  /// However a stop ends, the static address stays its container's.
  @Test func aStopThatDiesKeepsTheAddress() async throws {
    let world = try Playground()
    let options = AttachOptions(address: try IPAddress("10.6.0.9"))
    var step = 1
    var isKilled = true
    while isKilled {
      let crash = try Crash(world)
      do {
        let controller = try await crash.open()
        try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.6.0.0/24")))
        try await controller.attach("db", to: .network("blue"), options: options)
      }
      isKilled = try crash.run(step, ["stop", "db"]).isKilled
      let controller = try await crash.open()
      let thief = await #expect(throws: NetworkError.self, "step \(step)") {
        try await controller.attach("thief", to: .network("blue"), options: options)
      }
      #expect(thief?.description.contains("\"db\"") == true, "step \(step)")
      try await crash.end()
      step += 1
    }
    #expect(step > 5)
  }

  /// The first opener after a start of the machine dies at each of its steps; the next brings the networks back.
  @Test func aReturnThatDiesIsFinished() async throws {
    var step = 1
    var isKilled = true
    while isKilled {
      let old = try Playground()
      let crash = try Crash(old)
      try await crash.open().createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.6.0.0/24")))
      let new = try Playground()
      isKilled = try Crash(new, at: crash.directory).run(step, ["open"], boot: "next").isKilled
      let controller = try await Crash(new, at: crash.directory).open(boot: "next")
      #expect(try await controller.differences() == [], "step \(step)")
      try await controller.attach("web", to: .network("blue"))
      try await controller.removeAll()
      try FileManager.default.removeItem(atPath: crash.directory.string)
      step += 1
    }
    #expect(step > 5)
  }

  /// After a start of the machine nothing is kept for a container that is not on record.
  @Test func aStartKeepsNoAddressOfAContainerThatIsGone() async throws {
    let old = try Playground()
    let crash = try Crash(old)
    do {
      let controller = try await crash.open()
      try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.6.0.0/24")))
      try await controller.attach(
        "web", to: .network("blue"), options: AttachOptions(address: IPAddress("10.6.0.9")))
      try await controller.attach("side", to: .container("web"))
      try await controller.detach("web")
    }
    let new = try Playground()
    let controller = try await Crash(new, at: crash.directory).open(boot: "next")
    #expect(try await controller.inspect("blue").endpoints == [])
    try await controller.removeNetwork("blue")
    try await controller.removeAll()
    try FileManager.default.removeItem(atPath: crash.directory.string)
  }
}
