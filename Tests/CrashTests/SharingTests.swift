import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// Several users of one state, each of which knows only by the record what the others did.
@Suite struct SharingTests {
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

    /// Whether nobody holds it any more, soon.
    func isLetGo() async throws -> Bool {
      for _ in 0..<100 where namespace != nil { try await Task.sleep(for: .milliseconds(20)) }
      return namespace == nil
    }
  }

  /// What only another process holds open is that one's to see to, while it lives.
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
    // Now its holder is gone, and so is the namespace once the kernel has taken it down.
    var gone: Set<String> = []
    for _ in 0..<500 where gone.count < 2 {
      gone = Set(try await one.differences().filter { $0.kind == .namespaceGone }.compactMap(\.container))
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(gone == ["alone", "web"])
    try await one.reconcile()
    #expect(try await one.differences() == [])
    try await one.removeAll()
    try await crash.end()
  }

  /// A pin that somebody else has put where a container's would be is theirs, whenever the process dies.
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

  /// A bridge that somebody made under the name that a network's was to have, after two processes died at it.
  @Test func anothersBridgeIsLeftAloneAfterTwoCrashes() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    _ = try await crash.open()
    // Died once the network was written down.
    #expect(try crash.run(2, ["create", "blue", "10.7.0.0/24", "blue0"]).isKilled)
    try world.host.links.createBridge(InterfaceName("blue0"))
    let index = try world.host.links.get("blue0").index
    // Died once it had taken that over.
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
