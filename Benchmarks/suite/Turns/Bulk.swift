import BenchmarkKit
import ContainerNetworking
import Glibc

/// What a container costs when many are attached at once, against one call for each.
@MainActor struct Bulk {
  private let controller: NetworkController
  private let clock = ContinuousClock()
  private static let count = 50

  init(_ controller: NetworkController) { self.controller = controller }

  func measure(_ records: Records, _ notebook: Notebook) async throws {
    var together: [Double] = []
    var alone: [Double] = []
    for round in 0..<5 {
      let requests = try (0..<Self.count).map { number in
        AttachRequest(
          "bulk\(round)-\(number)", options: AttachOptions(ports: [try PortMapping("\(30_000 + number):80")]))
      }
      var start = clock.now
      var sandboxes = try await controller.attach(requests).map { try $0.get() }
      together.append((clock.now - start) / .microseconds(Self.count))
      try await detach(sandboxes)
      sandboxes = []
      start = clock.now
      for request in requests {
        sandboxes.append(try await controller.attach(request.container, options: request.options))
      }
      alone.append((clock.now - start) / .microseconds(Self.count))
      try await detach(sandboxes)
    }
    try notebook.note(.manyAtOnce, of: .library, at: Self.count, records: records, together)
    try notebook.note(.manyOneByOne, of: .library, at: Self.count, records: records, alone)
  }

  private func detach(_ sandboxes: [Sandbox]) async throws {
    for sandbox in sandboxes { try await controller.detach(sandbox.container) }
    try await controller.settled()
    usleep(200_000)
  }
}
