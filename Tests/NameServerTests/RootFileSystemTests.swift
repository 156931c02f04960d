import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// A container with a root file system of its own finds its files there, and others by name.
@Suite struct RootFileSystemTests {
  private let directory = FilePath(NSTemporaryDirectory()).appending("root-\(UUID().uuidString)")

  // example Documentation/Runtimes.md
  /// Whether a container that has a root file system of its own, with `/bin/busybox` in it, reaches another by name.
  func reaches(_ name: String, from container: Sandbox, in root: FilePath) async throws -> Bool {
    guard let files = container.files else { return false }
    let ping = Command(
      "chroot", [root.string, "/bin/busybox", "ping", "-c", "1", "-W", "10", name],
      bindings: try files.bindings(in: root))
    return try await container.spawn(ping).ended(within: .seconds(60)) == .exited(0)
  }
  // end

  private func makeRoot(_ links: [(String, String)] = []) throws -> FilePath {
    let root = directory.appending("rootfs")
    for part in ["bin", "etc"] {
      try FileManager.default.createDirectory(
        atPath: root.appending(part).string, withIntermediateDirectories: true)
    }
    for (path, target) in links {
      try FileManager.default.createSymbolicLink(
        atPath: root.pushing(FilePath(path)).string, withDestinationPath: target)
    }
    return root
  }

  private func removeAll() { try? FileManager.default.removeItem(atPath: directory.string) }

  @Test func pingByNameWorksInARootOfItsOwn() async throws {
    defer { removeAll() }
    let root = try makeRoot([("etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf")])
    let busybox = try #require(
      ["/bin/busybox", "/usr/bin/busybox"].first { FileManager.default.isExecutableFile(atPath: $0) })
    try FileManager.default.copyItem(atPath: busybox, toPath: root.appending("bin/busybox").string)
    let files = directory.appending("files")
    try FileManager.default.createDirectory(atPath: files.string, withIntermediateDirectories: true)

    let world = try await NameWorld()
    try await world.create("apps", "192.168.60.0/24")
    let controller = try await NetworkController(
      host: world.world.host, store: SQLiteStore(at: world.directory.appending("state")),
      settings: ControllerSettings(names: world.server, filesDirectory: files))
    try await controller.attach("web", to: .network("apps"))
    let client = try await controller.attach("client", to: .network("apps"))
    #expect(try await reaches("web", from: client, in: root))
    #expect(try await !reaches("nobody", from: client, in: root))
    // The machine's own files are untouched, and so are the root's: bound over, not written.
    #expect(
      try String(contentsOfFile: root.appending("run/systemd/resolve/stub-resolv.conf").string, encoding: .utf8) == "")
    try await controller.removeAll()
  }

  private func targets(_ links: [(String, String)]) async throws -> [String] {
    let root = try makeRoot(links)
    let files = directory.appending("files")
    try FileManager.default.createDirectory(atPath: files.string, withIntermediateDirectories: true)
    let controller = try await NetworkController(
      host: .create(), settings: ControllerSettings(filesDirectory: files, reservesPorts: false))
    let sandbox = try await controller.attach("web", to: .none)
    defer { removeAll() }
    do {
      let bindings = try #require(sandbox.files).bindings(in: root)
      try await controller.removeAll()
      for binding in bindings { #expect(FileManager.default.fileExists(atPath: binding.target.string)) }
      return bindings.map { String($0.target.string.dropFirst(root.string.utf8.count)) }
    } catch {
      try await controller.removeAll()
      throw error
    }
  }

  @Test(
    arguments: [
      ([], ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"]),
      (
        [("etc/resolv.conf", "../../../../run/resolv.conf"), ("etc/hosts", "/etc/hosts.d/../own")],
        ["/run/resolv.conf", "/etc/own", "/etc/hostname"]
      ),
      ([("etc/hosts", "/data"), ("data", "srv/hosts")], ["/etc/resolv.conf", "/srv/hosts", "/etc/hostname"]),
    ] as [([(String, String)], [String])])
  func linksAreFollowedFromInside(_ links: [(String, String)], _ expected: [String]) async throws {
    #expect(try await targets(links) == expected)
  }

  @Test func whatLeadsNowhereIsRefused() async throws {
    let circle = await #expect(throws: NetworkError.self) {
      try await targets([("etc/hosts", "/etc/other"), ("etc/other", "hosts")])
    }
    #expect(circle?.is(.invalidValue) == true)
    #expect(circle?.reason.contains("in a circle") == true)
  }

  @Test func pageHasTheExample() throws {
    let own = try String(contentsOfFile: #filePath, encoding: .utf8)
    let example = try #require(own.firstMatch(of: #/(?s)\/\/ example (\S+)\n(.*?)\n  \/\/ end\n/#))
    let page = try String(
      contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../\(example.1)"),
      encoding: .utf8)
    let block = try #require(page.firstMatch(of: #/(?s)```swift\n(.*?)\n```/#))
    let lines = example.2.split(separator: "\n", omittingEmptySubsequences: false).map { $0.dropFirst(2) }
    #expect(String(block.1) == lines.joined(separator: "\n"))
  }
}
