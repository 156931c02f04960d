import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import Playground
import SystemPackage

/// What only this library is asked: networks, many at once, a flushed ruleset, what it holds.
@MainActor struct Extras {
  /// A figure of the report.
  struct Figure {
    let name: String
    let value: Double
    let unit: String
  }

  let library: Library
  private let clock = ContinuousClock()

  init(_ library: Library) { self.library = library }

  private func time(_ body: () async throws -> Void) async rethrows -> Double {
    let start = clock.now
    try await body()
    return (clock.now - start) / .microseconds(1)
  }

  /// Asked while as many containers are there as the library was last measured with.
  func measure() async throws -> [Figure] {
    var figures: [Figure] = []
    let controller = library.controller
    var (create, remove): ([Double], [Double]) = ([], [])
    for number in 0..<20 {
      create.append(try await time { try await controller.createNetwork("n\(number)") })
      remove.append(try await time { try await controller.removeNetwork("n\(number)") })
    }
    figures.append(Figure(name: "create a network, median", value: create.sorted().share(0.5), unit: "µs"))
    figures.append(Figure(name: "remove a network, median", value: remove.sorted().share(0.5), unit: "µs"))

    let alone = try await many(1)
    let together = try await many(8)
    figures.append(Figure(name: "8 attaches, one after the other", value: alone, unit: "µs each"))
    figures.append(Figure(name: "8 attaches, all at once", value: together, unit: "µs each"))

    let count = try await controller.sandboxes().count
    try flush()
    let restored = try await time { _ = try await controller.reconcile() }
    figures.append(
      Figure(
        name: "rules of \(count) containers back after a flush, looks at everything included", value: restored,
        unit: "µs"))
    return figures
  }

  /// Attaches 8, so many at a time, and gives microseconds of each; takes them off again.
  private func many(_ width: Int) async throws -> Double {
    let controller = library.controller
    var namespaces: [NetworkNamespace] = []
    for _ in 0..<8 { namespaces.append(try NetworkNamespace.create()) }
    usleep(50_000)
    let all = namespaces
    let took = try await time {
      for first in stride(from: 0, to: 8, by: width) {
        try await withThrowingTaskGroup { group in
          for number in first..<first + width {
            group.addTask { try await controller.attach("m\(number)", namespace: all[number]) }
          }
          try await group.waitForAll()
        }
      }
    }
    for number in 0..<8 { try await controller.detach("m\(number)") }
    return took / 8
  }

  private func flush() throws {
    var transaction = NftTransaction()
    for family in [NftFamily.inet, .bridge] {
      transaction.delete(NftTable(family: family, name: "containernetworking"))
    }
    try transaction.commit(over: library.world.host.connection(.netfilter))
  }
}

/// What this process holds.
struct Holdings {
  let bytes: Double
  let descriptors: Double

  static func now() -> Holdings {
    let pages = (try? text("/proc/self/statm"))?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
    var descriptors = 0.0
    for number in 0..<Int32(8_192) where fcntl(number, F_GETFD) >= 0 { descriptors += 1 }
    return Holdings(bytes: pages * Double(getpagesize()), descriptors: descriptors)
  }

  private static func text(_ path: FilePath) throws -> String {
    let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
    defer { try? file.close() }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}
