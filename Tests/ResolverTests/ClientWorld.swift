import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import TestSupport
import Testing

/// A host with a network "apps" and a name server of its own; outside, a dnsmasq that the host asks. Programs run in a
/// container of the network as a container's do: with its resolv.conf and its hosts.
final class ClientWorld: Sendable {
  let world: Playground
  let directory: FilePath
  let controller: NetworkController
  private let server: NameServer
  private let upstream: ChildProcess
  private let asker: Sandbox

  init(_ names: NameOptions = NameOptions()) async throws {
    world = try Playground(isDualStack: true)
    directory = FilePath(NSTemporaryDirectory()).appending("resolver-test-\(UUID().uuidString)")
    for name in ["", "files"] {
      try FileManager.default.createDirectory(
        atPath: directory.appending(name).string, withIntermediateDirectories: true)
    }
    try Self.write("nameserver 203.0.113.2\n", to: directory.appending("resolv.conf"))
    try Self.write("hosts: files dns\n", to: directory.appending("nsswitch.conf"))
    upstream = try Self.startUpstream(in: world.outside)

    let state = directory.appending("state")
    var serverSettings = NameServerSettings()
    serverSettings.resolverFile = directory.appending("resolv.conf")
    serverSettings.directory = state
    server = NameServer(host: world.host, store: try SQLiteStore(at: state), settings: serverSettings)
    try await server.start()
    var settings = ControllerSettings()
    settings.names = server
    settings.filesDirectory = directory.appending("files")
    settings.hostFiles.resolvConf = directory.appending("resolv.conf")
    controller = try await NetworkController(host: world.host, store: try SQLiteStore(at: state), settings: settings)

    var options = NetworkOptions()
    options.subnets = [try Subnet("10.81.0.0/24"), try Subnet("fd00:81::/64")]
    try await controller.createNetwork("apps", options: options)
    asker = try await controller.attach("asker", to: .network("apps"), options: AttachOptions(names: names))
    let isUp = try waitUntil { try output("dig", "+short", "+time=1", "+tries=1", "up.example") == "192.0.2.9\n" }
    try #require(isUp, "the server outside does not answer")
  }

  private static func write(_ text: String, to path: FilePath) throws {
    try text.write(toFile: path.string, atomically: true, encoding: .utf8)
  }

  /// A server for `example`, and an NXDOMAIN for all the rest.
  private static func startUpstream(in namespace: NetworkNamespace) throws -> ChildProcess {
    let text = Array(repeating: String(repeating: "t", count: 200), count: 10).joined(separator: ",")
    var command = Command(
      "/usr/sbin/dnsmasq",
      [
        "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--group=root",
        "--pid-file=",
        "--bind-interfaces", "--listen-address=203.0.113.2", "--log-facility=/dev/null", "--local=/#/",
        "--local-ttl=300",
        "--host-record=up.example,192.0.2.9,2001:db8::9", "--cname=alias.example,up.example",
        "--mx-host=mx.example,mail.example,7", "--srv-host=_imap._tcp.example,mail.example,143,1,2",
        "--txt-record=text.example,\(text)",
      ])
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
    defer { try? null.close() }
    (command.input, command.output, command.error) = (null, null, null)
    command.endsWithParent = true
    return try namespace.spawn(command)
  }

  /// Puts containers on the network.
  ///
  /// - Returns: Their addresses, those of IPv4 first.
  func attach(_ names: String..., aliases: [String] = []) async throws -> [String] {
    var addresses: [IPAddress] = []
    for name in names {
      let options = AttachOptions(endpoint: EndpointOptions(aliases: aliases))
      let sandbox = try await controller.attach(name, to: .network("apps"), options: options)
      addresses += sandbox.endpoints.flatMap { $0.addresses.map(\.address) }
    }
    return addresses.sorted().map(\.description)
  }

  /// Runs a program in the container that asks.
  func run(_ program: String, _ arguments: [String]) throws -> (output: String, status: ProcessExit) {
    var command = Command(program, arguments)
    command.bindings = try #require(asker.files).bindings
    command.bindings.append(FileBinding(directory.appending("nsswitch.conf"), at: "/etc/nsswitch.conf"))
    return try world.run(command, in: asker.namespace, includesErrors: true)
  }

  /// The output of a program in the querying container.
  func output(_ program: String, _ arguments: String...) throws -> String { try run(program, arguments).output }

  /// Its output, in lines.
  func lines(_ program: String, _ arguments: String...) throws -> [String] {
    try run(program, arguments).output.split(separator: "\n").map(String.init)
  }

  /// Takes everything away.
  func end() async throws {
    try await controller.removeAll()
    await server.stop()
    try upstream.signal(9)
    _ = try upstream.wait(timeout: .seconds(20))
    try FileManager.default.removeItem(atPath: directory.string)
  }
}
