import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Foundation
import Playground
import Synchronization
import SystemPackage

/// A host with a controller and a name server of its own, and a machine outside where other name servers are played.
final class NameWorld: Sendable {
  let world: Playground
  let directory: FilePath
  let controller: NetworkController
  let server: NameServer
  let failures = Failures()

  var resolverFile: FilePath { directory.appending("resolv.conf") }
  static let outside = "203.0.113.2"

  /// - Parameters:
  ///   - resolvers: The servers of the host's resolv.conf.
  ///   - pins: Whether namespaces have paths, as those must that are served inside.
  ///   - change: Changes the server's settings.
  init(
    resolvers: [String] = [outside], pins: Bool = false, change: (inout NameServerSettings) -> Void = { _ in }
  ) async throws {
    world = try Playground(isDualStack: true)
    directory = FilePath(NSTemporaryDirectory()).appending("names-\(UUID().uuidString)")
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
    let text = resolvers.map { "nameserver \($0)\n" }.joined()
    try text.write(toFile: directory.appending("resolv.conf").string, atomically: true, encoding: .utf8)
    let path = directory.appending("state")
    var settings = NameServerSettings()
    settings.resolverFile = directory.appending("resolv.conf")
    settings.onFailure = { [failures] in failures.add($0) }
    change(&settings)
    let store = try SQLiteStore(at: path)
    server = NameServer(host: world.host, store: try SQLiteStore(at: path), settings: settings)
    try await server.start()
    var own = ControllerSettings()
    own.names = server
    if pins { own.namespaceDirectory = directory.appending("pins") }
    if pins {
      try FileManager.default.createDirectory(
        atPath: directory.appending("pins").string, withIntermediateDirectories: true)
    }
    controller = try await NetworkController(host: world.host, store: store, settings: own)
  }

  /// Sets the host's upstream servers.
  func setResolvers(_ resolvers: String...) throws {
    let text = resolvers.map { "nameserver \($0)\n" }.joined()
    try text.write(toFile: resolverFile.string, atomically: true, encoding: .utf8)
  }

  func create(
    _ name: String, _ subnets: String..., change: (inout NetworkOptions) -> Void = { _ in }
  ) async throws {
    var options = NetworkOptions()
    options.subnets = try subnets.map { try Subnet($0) }
    options.isIPv4Enabled = options.subnets.contains { $0.family == .ipv4 }
    change(&options)
    try await controller.createNetwork(name, options: options)
  }

  @discardableResult
  func attach(
    _ name: String, to network: String, aliases: [String] = [], names: NameOptions = NameOptions()
  ) async throws -> Sandbox {
    try await controller.attach(
      name, to: .network(network),
      options: AttachOptions(endpoint: EndpointOptions(aliases: aliases), names: names))
  }

  /// Asks as a container does, at the gateway of its first network.
  func resolver(_ sandbox: Sandbox) throws -> Resolver {
    let network = sandbox.endpoints[0].networkName
    return Resolver(namespace: sandbox.namespace, server: try gateway(of: network, sandbox))
  }

  private func gateway(of network: String, _ sandbox: Sandbox) throws -> IPAddress {
    guard let address = sandbox.endpoints[0].addresses.first else { throw Missing(what: "address on \(network)") }
    // The first of the subnet, as every network here has it.
    let first = address.subnet.first
    guard let gateway = first.advanced(by: 1) else { throw Missing(what: "gateway of \(network)") }
    return gateway
  }

  /// Takes everything away.
  func end() async throws {
    try await controller.removeAll()
    await server.stop()
    try FileManager.default.removeItem(atPath: directory.string)
  }
}

extension Sandbox {
  /// Its IPv4 address on its first network, as ``Message/addresses`` shows answers.
  var shownAddresses: [String] { endpoints[0].address(.ipv4).map { ["\($0.address)"] } ?? [] }
}

struct Missing: Error { var what: String }

/// The failures that a server reported.
final class Failures: Sendable {
  private let errors = Mutex<[NetworkError]>([])
  func add(_ error: NetworkError) { errors.withLock { $0.append(error) } }
  var all: [NetworkError] { errors.withLock { $0 } }
}
