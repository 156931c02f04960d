import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Glibc
import Playground
import SystemPackage
import Testing

/// Directories in the settings are created with their parents; an obstacle is named.
@Suite struct DirectoryTests {
  let root = "/tmp/cn-directories-\(UUID().uuidString)"

  private func permissions(_ path: String) throws -> UInt32 {
    var status = stat()
    try #require(unsafe stat(path, &status) == 0, "\(path)")
    return status.st_mode & 0o777
  }

  private func refusal(_ body: () async throws -> Void) async -> NetworkError? {
    do { try await body() } catch { return error as? NetworkError }
    return nil
  }

  @Test func areMadeWhenTheyAreNeeded() async throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    let world = try Playground()
    var settings = ControllerSettings(
      resolvers: [], namespaceDirectory: FilePath("\(root)/a/b/netns"), reservesPorts: false)
    settings.filesDirectory = FilePath("\(root)/c/files")
    let store = try SQLiteStore(at: FilePath("\(root)/d/e/state"))
    let controller = try await NetworkController(host: world.host, store: store, settings: settings)
    let web = try await controller.attach("web")
    #expect(web.namespace.path.string == "\(root)/a/b/netns/web")
    #expect(try NetworkNamespace.open(at: web.namespace.path).identity == web.namespace.identity)
    for path in ["a", "a/b", "a/b/netns", "d", "d/e", "d/e/state"] {
      #expect(try permissions("\(root)/\(path)") == 0o700, "\(path)")
    }
    #expect(try permissions("\(root)/c/files") == 0o755)
    try await controller.detach("web")
    // Taken away meanwhile, they are made again.
    for path in ["a", "c"] { try FileManager.default.removeItem(atPath: "\(root)/\(path)") }
    try await controller.attach("web")
    try await controller.removeAll()
  }

  @Test func whatIsInTheWayIsNamed() async throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: "\(root)/file"))
    let world = try Playground()
    let below = FilePath("\(root)/file/netns")
    let pins = await refusal {
      let controller = try await NetworkController(
        host: world.host, settings: ControllerSettings(resolvers: [], namespaceDirectory: below))
      try await controller.attach("web")
    }
    #expect(pins?.description.contains("\(root)/file is no directory") == true, "\(pins as Any)")
    let files = await refusal {
      var settings = ControllerSettings(resolvers: [])
      settings.filesDirectory = below
      let controller = try await NetworkController(host: world.host, settings: settings)
      try await controller.attach("web")
    }
    #expect(files?.description.contains("\(root)/file is no directory") == true, "\(files as Any)")
    let state = await refusal { _ = try SQLiteStore(at: below) }
    #expect(state?.description.contains("\(root)/file is no directory") == true, "\(state as Any)")
    let links = try world.host.links.list().map(\.name)
    #expect(links == ["lo", "eth0"])
  }
}
