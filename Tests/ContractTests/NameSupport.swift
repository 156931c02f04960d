import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Synchronization
import SystemPackage
import Testing

/// A service that records its calls, and refuses on demand.
final class NotedNames: NameService {
  private let calls = Mutex<[String]>([])
  private let isDown = Mutex(false)
  private let refusal = Mutex<NetworkError?>(nil)
  private let own = Mutex<(ports: ClosedRange<UInt16>?, taken: Set<UInt16>)>((nil, []))

  var gatewayPorts: ClosedRange<UInt16>? { own.withLock { $0.ports } }

  /// Listens at ports of its own, some of which others hold.
  func listen(at ports: ClosedRange<UInt16>, without taken: Set<UInt16>) { own.withLock { $0 = (ports, taken) } }

  /// The calls since the last check.
  func take() -> [String] {
    calls.withLock { calls in
      defer { calls = [] }
      return calls
    }
  }

  func refuse(_ error: NetworkError?) { refusal.withLock { $0 = error } }

  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    let texts = sandboxes.map { "\($0.container)\($0.namespacePath == nil ? " nowhere" : "")" }
    calls.withLock { $0.append("serve \(network.name) in \(texts.joined(separator: " "))") }
    if let error = refusal.withLock({ $0 }) { throw error }
    if own.withLock({ $0.taken.contains(network.nameServerPort) }) { throw NetworkError(.inUse, operation: "listen") }
    isDown.withLock { $0 = false }
  }

  func withdraw(_ network: NetworkRecord) { calls.withLock { $0.append("withdraw network \(network.name)") } }
  func check() throws(NetworkError) { if isDown.withLock({ $0 }) { throw NetworkError(.closed, operation: "check") } }

  func setDown(_ value: Bool) { isDown.withLock { $0 = value } }

  func withdraw(_ sandbox: SandboxRecord) { calls.withLock { $0.append("withdraw sandbox \(sandbox.container)") } }
}

/// A controller on the simulated kernel with files in a directory of its own.
struct NamedWorld {
  let kernel = SimulatedKernel()
  let directory: FilePath
  let host: NetworkNamespace
  let settings: ControllerSettings
  let controller: NetworkController
  let names = NotedNames()

  init(
    resolvConf: String = "nameserver 192.0.2.53\nnameserver 127.0.0.1\nsearch example.org\noptions timeout:2\n",
    upstream: String = "", hasService: Bool = false, store: any Store = MemoryStore(),
    change: (inout ControllerSettings) -> Void = { _ in }
  ) async throws {
    directory = FilePath("/tmp/cn-names-\(UUID().uuidString)")
    let host = directory.appending("host")
    try FileManager.default.createDirectory(atPath: host.string, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      atPath: directory.appending("files").string, withIntermediateDirectories: true)
    var settings = ControllerSettings()
    settings.filesDirectory = directory.appending("files")
    settings.hostFiles = HostNameFiles(
      resolvConf: host.appending("resolv.conf"), upstreamResolvConf: host.appending("upstream"),
      hosts: host.appending("hosts"), hostname: host.appending("hostname"))
    if hasService { settings.names = names }
    change(&settings)
    for (path, text) in [
      (settings.hostFiles.resolvConf, resolvConf), (settings.hostFiles.upstreamResolvConf, upstream),
      (settings.hostFiles.hosts, "127.0.0.1 localhost\n203.0.113.1 machine"),
      (settings.hostFiles.hostname, "machine\n"),
    ] { try text.write(toFile: path.string, atomically: false, encoding: .utf8) }
    self.settings = settings
    self.host = try NetworkNamespace.create(on: kernel)
    controller = try await NetworkController(host: self.host, store: store, settings: settings)
  }

  /// The existing directories.
  func containers() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory.appending("files").string).sorted()
  }

  /// Removes everything; returns the remaining files.
  func close() async throws -> [String] {
    try await controller.removeAll()
    let left = try containers()
    try FileManager.default.removeItem(atPath: directory.string)
    return left
  }
}

/// A file's text.
func text(_ path: FilePath) throws -> String { try String(contentsOfFile: path.string, encoding: .utf8) }

/// A file's lines without comments.
func lines(_ path: FilePath) throws -> [String] {
  try text(path).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
}

func write(_ text: String, _ path: FilePath) throws {
  try text.write(toFile: path.string, atomically: false, encoding: .utf8)
}

/// The inode that a bind mount would hold.
func inode(_ path: FilePath) throws -> UInt64 {
  try #require(try FileManager.default.attributesOfItem(atPath: path.string)[.systemFileNumber] as? UInt64)
}
