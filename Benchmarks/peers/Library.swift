import ContainerNetworking
import ContainerNetworkingStore
import Playground
import SystemPackage

/// This library, with its records on disk, as a runtime would keep them.
@MainActor final class Library: Contender {
  let name = "ContainerNetworking"
  let counts: [Int]
  let rounds: Int
  let startsPrograms = false
  let world: Playground
  let controller: NetworkController
  private let directory: FilePath
  private var namespaces: [Int: NetworkNamespace] = [:]

  init(upTo limit: Int, rounds: Int) async throws {
    self.rounds = rounds
    counts = [1, 100, 500, 1_000].filter { $0 <= limit }
    world = try Playground()
    directory = try TemporaryDirectory.make("peers-library")
    controller = try await NetworkController(
      host: world.host, store: SQLiteStore(at: directory), settings: ControllerSettings(resolvers: []))
  }

  func makeContainer(_ number: Int) throws { namespaces[number] = try NetworkNamespace.create() }

  func attach(_ number: Int) async throws {
    try await controller.attach(
      "c\(number)", options: AttachOptions(ports: [PortMapping("\(Numbering.port(number)):80")]),
      namespace: namespaces[number])
  }

  func detach(_ number: Int) async throws {
    try await controller.detach("c\(number)")
    namespaces[number] = nil
  }

  func finish() async {
    try? await controller.removeAll(isFinal: true)
    TemporaryDirectory.remove(directory)
  }
}
