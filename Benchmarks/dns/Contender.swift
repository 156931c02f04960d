import BenchmarkKit
import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import FoundationEssentials
import StoreSamples
import SystemPackage

/// A measurable name server.
protocol Contender {
  var name: String { get }
  var version: String { get }
  var isInstalled: Bool { get }
  /// The name of the server's process.
  var process: String { get }
  /// Writes the server's data: `count` containers, each with one name and one address.
  func prepare(_ directory: FilePath, names count: Int) throws
  /// The command that starts it in the host's namespace.
  func command(_ directory: FilePath) -> Command
}

/// This library's server, with containers' records as a controller would write them.
struct Library: Contender {
  let name = "ContainerNetworking"
  let version = ""
  let isInstalled = true
  var process: String { FilePath(Self.program).lastComponent?.string ?? "" }

  func prepare(_ directory: FilePath, names count: Int) throws {
    var network = try Samples.network("apps")
    network.subnets.removeLast()
    network.subnets[0].subnet = try Subnet(Lab.subnet)
    network.subnets[0].gateway = try IPAddress(Lab.gateway)
    network.subnets[0].auxiliaryAddresses = [:]
    var changes: [StoreChange] = [.save(.network(network))]
    for index in 0..<count {
      var endpoint = try Samples.endpoint(index)
      endpoint.container = Lab.name(index)
      endpoint.networkName = network.name
      endpoint.addresses = [try InterfaceAddress("\(Lab.address(index))/16")]
      endpoint.aliases = []
      endpoint.ports = []
      var sandbox = try Samples.sandbox(endpoint.container)
      sandbox.sandboxID = endpoint.sandboxID
      sandbox.mode = .network(network.name)
      sandbox.phase = .ready
      changes += [.save(.sandbox(sandbox)), .save(.endpoint(endpoint))]
    }
    let store = try SQLiteStore(at: directory.appending("state"))
    let all = changes
    _ = try store.update(since: 0, .process) { _ in ((), all) }
  }

  func command(_ directory: FilePath) -> Command {
    Command(Self.program, ["serve", directory.string])
  }

  private static let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""

  /// Serves until it is killed.
  static func serve(_ directory: FilePath) async throws -> Never {
    let state = directory.appending("state")
    var settings = NameServerSettings()
    settings.directory = state
    settings.onFailure = { print($0) }
    let server = NameServer(host: try .current(), store: try SQLiteStore(at: state), settings: settings)
    try await server.start()
    while true { try await Task.sleep(for: .seconds(3_600)) }
  }
}

/// Podman's server. It forwards unknown names, and caches no answers.
struct Aardvark: Contender {
  let name = "aardvark-dns"
  let process = "aardvark-dns"
  var version: String { Machine.version(ofPackage: "aardvark-dns") ?? "" }
  var isInstalled: Bool { FileManager.default.fileExists(atPath: Self.program) }
  static let program = "/usr/lib/podman/aardvark-dns"

  /// The form of Netavark: the gateway, then a line for each container.
  func prepare(_ directory: FilePath, names count: Int) throws {
    let configuration = directory.appending("aardvark")
    try FileManager.default.createDirectory(atPath: configuration.string, withIntermediateDirectories: true)
    let lines = (0..<count).map { index in
      let id = String(index, radix: 16)
      let name = Lab.name(index)
      return "\(String(repeating: "0", count: 64 - id.count))\(id) \(Lab.address(index))  \(name)\n"
    }
    try Lab.write("\(Lab.gateway)\n" + lines.joined(), to: configuration.appending("apps"))
  }

  func command(_ directory: FilePath) -> Command {
    // It goes into the background, and its process namespace ends with the first process in it.
    let configuration = directory.appending("aardvark").string
    return Command("/bin/sh", ["-c", "\(Self.program) --config \(configuration) --port 53 run; exec sleep 3600"])
  }
}

/// With the names in a hosts(5) file. It caches answers.
struct Dnsmasq: Contender {
  let name = "dnsmasq"
  let process = "dnsmasq"
  var version: String { Machine.version(ofPackage: "dnsmasq-base") ?? "" }
  var isInstalled: Bool { FileManager.default.fileExists(atPath: Self.program) }
  static let program = "/usr/sbin/dnsmasq"
  static let common = [
    "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--group=root",
    "--pid-file=", "--bind-interfaces", "--log-facility=/dev/null",
  ]

  func prepare(_ directory: FilePath, names count: Int) throws {
    let lines = (0..<count).map { "\(Lab.address($0)) \(Lab.name($0))\n" }
    try Lab.write(lines.joined(), to: directory.appending("names"))
  }

  func command(_ directory: FilePath) -> Command {
    Command(
      Self.program,
      Self.common + [
        "--listen-address=\(Lab.gateway)", "--addn-hosts=\(directory.appending("names"))", "--cache-size=1000",
        "--server=203.0.113.2", "--local-ttl=5",
      ])
  }
}
