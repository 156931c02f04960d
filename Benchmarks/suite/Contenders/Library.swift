import BenchmarkKit
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

/// This library, with its records on disk, as a runtime would keep them; its host is this process's own namespace.
@MainActor final class Library: Contender {
  let who: Contestant
  let counts: [Int]
  let rounds: Int
  let makesNetworks = true
  let controller: NetworkController
  private var namespaces: [Int: NetworkNamespace] = [:]

  /// - Parameter handsOver: Whether each attach is of a sandbox that was kept ready.
  init(_ settings: Settings, handsOver: Bool = false) async throws {
    who = handsOver ? .handOver : .library
    rounds = settings.rounds
    counts = settings.counts
    controller = try await NetworkController(
      host: .current(), store: SQLiteStore(at: settings.directory.appending("library")),
      settings: ControllerSettings(resolvers: []))
    // The network is created before the first measured attach, as the floor's is.
    try await controller.attach("first")
    try await controller.detach("first")
  }

  func makeContainer(_ number: Int) async throws {
    guard who == .handOver else { return namespaces[number] = try NetworkNamespace.create() }
    // So slowly that no replacement is made during a turn.
    try await controller.keepReady(1, refillsPerSecond: 0.000_1)
  }

  func attach(_ number: Int) async throws {
    try await controller.attach("c\(number)", options: try Self.options(number), namespace: namespaces[number])
  }

  nonisolated static func options(_ number: Int) throws -> AttachOptions {
    AttachOptions(ports: [try PortMapping("\(Numbering.port(number)):80")])
  }

  /// By a call for each of them.
  func attachAtOnce(_ numbers: [Int]) async throws {
    let controller = controller
    try await withThrowingTaskGroup { group in
      for number in numbers {
        let namespace = namespaces[number]
        group.addTask {
          try await controller.attach("c\(number)", options: try Self.options(number), namespace: namespace)
        }
      }
      try await group.waitForAll()
    }
  }

  func detach(_ number: Int) async throws {
    try await controller.detach("c\(number)")
    namespaces[number] = nil
  }

  func createNetwork(_ number: Int) async throws { try await controller.createNetwork("n\(number)") }
  func removeNetwork(_ number: Int) async throws { try await controller.removeNetwork("n\(number)") }
}
