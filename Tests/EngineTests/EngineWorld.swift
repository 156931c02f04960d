import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// A host with a record of its own, and containers' namespaces.
class EngineWorld {
  let world: Playground
  let directory = "/tmp/engine-test-\(UUID().uuidString)"
  private var namespaces: [String: NetworkNamespace] = [:]

  init(isDualStack: Bool = false) throws { world = try Playground(isDualStack: isDualStack) }

  /// A container's namespace, made when it is first asked for.
  func namespace(_ container: String) throws -> NetworkNamespace {
    if let known = namespaces[container] { return known }
    let made = try NetworkNamespace.create()
    namespaces[container] = made
    return made
  }

  func end(_ container: String) { namespaces[container] = nil }

  /// Starts a program of this package on the host, as an engine does.
  ///
  /// - Parameter readsErrors: Whether the output has what it says on standard error, too.
  func start(
    _ program: String, _ arguments: [String], _ environment: [String: String?], _ input: Data,
    readsErrors: Bool = false
  ) throws -> (process: Process, output: Pipe) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments =
      ["--net=\(world.host.path)", URL(filePath: program, relativeTo: Self.products).path] + arguments
    let usual: [String: String?] = ["CNET_STATE_DIR": directory]
    process.environment = usual.merging(environment) { $1 }.compactMapValues(\.self)
    let (standardInput, output) = (Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = output
    process.standardError = readsErrors ? output as Any : FileHandle.nullDevice as Any
    try process.run()
    // One that is killed reads nothing.
    signal(SIGPIPE, SIG_IGN)
    try? standardInput.fileHandleForWriting.write(contentsOf: input)
    try? standardInput.fileHandleForWriting.close()
    return (process, output)
  }

  /// What it printed, and its exit code, or the signal that ended it, negative.
  func finish(_ started: (process: Process, output: Pipe)) throws -> (code: Int32, output: String) {
    let output = started.output.fileHandleForReading.readDataToEndOfFile()
    started.process.waitUntilExit()
    let status = started.process.terminationStatus
    return (
      started.process.terminationReason == .exit ? status : -status, String(decoding: output, as: UTF8.self)
    )
  }

  /// Where the programs are that are built beside the tests.
  static let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

  /// The links of the host that are not its own.
  func links() throws -> [String] {
    try world.host.links.list().map(\.name).filter { !["lo", "eth0"].contains($0) }.sorted()
  }

  /// A controller of the record, to look at it by.
  func controller() async throws -> NetworkController {
    try await NetworkController(
      host: world.host, store: SQLiteStore(at: FilePath(directory)), settings: ControllerSettings(reservesPorts: false))
  }

  /// Takes everything away; what the record does not know of is returned.
  func close() async throws -> [String] {
    let controller = try await controller()
    let differences = try await controller.differences().map(\.description)
    try await controller.removeAll()
    try FileManager.default.removeItem(atPath: directory)
    return differences + (try links())
  }
}
