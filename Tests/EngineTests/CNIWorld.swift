import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// A host with a record of its own, containers' namespaces, and the plugin as a runtime calls it.
final class CNIWorld {
  let world: Playground
  let directory = "/tmp/cni-test-\(UUID().uuidString)"
  private var namespaces: [String: NetworkNamespace] = [:]

  init() throws { world = try Playground() }

  /// What the plugin printed, and its exit code.
  struct Answer {
    var code: Int32
    var output: String

    /// The output as JSON; an empty object for none.
    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }
    /// The code of an error.
    var error: Int? { json["code"] as? Int }
    var message: String { json["msg"] as? String ?? "" }
    var addresses: [String] { ((json["ips"] as? [[String: Any]]) ?? []).compactMap { $0["address"] as? String } }
  }

  /// A container's namespace, made when it is first asked for.
  func namespace(_ container: String) throws -> NetworkNamespace {
    if let known = namespaces[container] { return known }
    let made = try NetworkNamespace.create()
    namespaces[container] = made
    return made
  }

  func end(_ container: String) { namespaces[container] = nil }

  /// A list's plugin: a bridge with a subnet, unless said.
  static func configuration(
    _ name: String = "blue", version: String = "1.0.0", type: String = "bridge", subnet: String = "10.80.0.0/24",
    with more: [String: Any] = [:]
  ) -> [String: Any] {
    var fields: [String: Any] = ["cniVersion": version, "name": name, "type": type]
    if type == "bridge" || type == "containernetworking" {
      fields["ipam"] = ["type": "host-local", "ranges": [[["subnet": subnet]]], "routes": [["dst": "0.0.0.0/0"]]]
    }
    if type == "bridge" {
      fields.merge(["bridge": "br-\(name)", "isGateway": true, "ipMasq": true]) { $1 }
    }
    return fields.merging(more) { $1 }
  }

  /// Calls the plugin for the container c1.
  func call(
    _ verb: String, _ configuration: [String: Any], _ environment: [String: String?] = [:]
  ) throws -> Answer {
    try call(verb, "c1", configuration, environment)
  }

  /// Calls the plugin for a container.
  func call(
    _ verb: String, _ container: String, _ configuration: [String: Any], _ environment: [String: String?] = [:]
  ) throws -> Answer {
    let input = try JSONSerialization.data(withJSONObject: configuration)
    let path = try namespace(container).path.string
    return try call(
      [
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": path, "CNI_IFNAME": "eth0",
        "CNI_PATH": Self.products.path,
      ].merging(environment) { $1 }, input)
  }

  /// Calls the plugin with that environment and input.
  func call(_ environment: [String: String?], _ input: Data) throws -> Answer {
    let process = try start(environment, input)
    let output = process.output.fileHandleForReading.readDataToEndOfFile()
    process.process.waitUntilExit()
    let isExit = process.process.terminationReason == .exit
    return Answer(
      code: isExit ? process.process.terminationStatus : -process.process.terminationStatus,
      output: String(decoding: output, as: UTF8.self))
  }

  /// Starts the plugin on the host.
  func start(_ environment: [String: String?], _ input: Data) throws -> (process: Process, output: Pipe) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    process.arguments = ["--net=\(world.host.path)", Self.products.appending(path: "cnet-cni").path]
    process.environment = environment.compactMapValues(\.self).merging(["CNET_STATE_DIR": directory]) { $1 }
    let (standardInput, output) = (Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    // One that is killed reads nothing.
    signal(SIGPIPE, SIG_IGN)
    try? standardInput.fileHandleForWriting.write(contentsOf: input)
    try? standardInput.fileHandleForWriting.close()
    return (process, output)
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
