import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import FoundationEssentials
import Glibc
import Playground
import SystemPackage

/// The networks of a run.
private let networks = ["one", "two", "three"]

/// One long-lived process: it attaches and detaches with published ports, aliases, names and ready sandboxes, and
/// restores flushed rules.
struct LongLived {
  let world: Playground
  let directory: FilePath
  private let controller: NetworkController
  private let server: NameServer
  private static let width = 4
  private static let ready = 4

  init(_ directory: FilePath) async throws {
    world = try Playground()
    self.directory = directory
    let state = directory.appending("state")
    for name in ["state", "netns", "files"] {
      try FileManager.default.createDirectory(
        atPath: directory.appending(name).string, withIntermediateDirectories: true)
    }
    let resolvConf = directory.appending("resolv.conf")
    try "nameserver 192.0.2.53\n".write(toFile: resolvConf.string, atomically: true, encoding: .utf8)
    var names = NameServerSettings()
    names.resolverFile = resolvConf
    server = NameServer(host: world.host, store: try SQLiteStore(at: state), settings: names)
    try await server.start()
    var settings = ControllerSettings(resolvers: [], namespaceDirectory: directory.appending("netns"), heals: true)
    settings.names = server
    settings.filesDirectory = directory.appending("files")
    settings.hostFiles.resolvConf = resolvConf
    controller = try await NetworkController(host: world.host, store: try SQLiteStore(at: state), settings: settings)
    for (number, name) in networks.enumerated() {
      try await controller.createNetwork(name, options: NetworkOptions(subnet: Subnet("10.\(70 + number).0.0/16")))
      try await controller.keepReady(Self.ready, on: name, refillsPerSecond: 10_000)
    }
  }

  /// Attaches and detaches so often, several at a time, each with some of its own attached beside it.
  func turn(_ range: Range<Int>) async throws {
    let controller = controller
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<Self.width {
        group.addTask {
          var attached: [String] = []
          for number in range where number % Self.width == worker {
            let ports = number % 3 == 0 ? [] : [try PortMapping("\(20_000 + number % 8_000):80")]
            let endpoint = EndpointOptions(aliases: ["a\(number % 50)"])
            // One in ten asks for an option that no ready sandbox has.
            let mac =
              number % 10 == 0 ? try MACAddress("02:00:00:00:\(Self.octet(number >> 8)):\(Self.octet(number))") : nil
            let options = AttachOptions(ports: ports, macAddress: mac, endpoint: endpoint)
            try await controller.attach("c\(number)", to: .network(networks[number % 3]), options: options)
            attached.append("c\(number)")
            if attached.count > 8 { try await controller.detach(attached.removeFirst()) }
          }
          for name in attached { try await controller.detach(name) }
        }
      }
      try await group.waitForAll()
    }
  }

  private static func octet(_ number: Int) -> String {
    let digits = String(number & 0xff, radix: 16)
    return digits.count == 1 ? "0\(digits)" : digits
  }

  /// Flushes all rules of the host, and waits until they are back.
  func flush() async throws {
    _ = try world.output("nft", "flush", "ruleset", in: world.host)
    try await wait("the rules are back") { try await controller.differences().isEmpty }
  }

  /// Counts resources once everything has settled.
  func look() async throws -> Inventory {
    try await wait("the ready sandboxes are there") {
      for name in networks where try await controller.readySandboxes(on: name).count < Self.ready { return false }
      return true
    }
    try await controller.settled()
    var last = try Inventory(world, directory)
    try await wait("the kernel is done") {
      try await Task.sleep(for: .seconds(1))
      let now = try Inventory(world, directory)
      defer { last = now }
      return now.isAs(last)
    }
    return last
  }

  func end() async throws {
    try await controller.removeAll(isFinal: true)
    await server.stop()
  }

  private func wait(_ what: String, until isSo: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !isSo() {
      guard ContinuousClock.now < end else {
        throw NetworkError(.replyLost, operation: "soak", reason: "within two minutes it was not so that \(what)")
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}

/// Many processes of `cnet`, one after the other, on one record.
struct ShortLived {
  let world: Playground
  let directory: FilePath
  private let tool: String
  private let environment: [String]
  /// The containers' namespaces, which are reused.
  private let namespaces: [NetworkNamespace]
  private static let beside = 8

  init(_ directory: FilePath, tool: String) throws {
    world = try Playground()
    namespaces = try (0...Self.beside).map { _ in try NetworkNamespace.create() }
    self.directory = directory
    self.tool = tool
    environment = [
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "CNET_STATE_DIR=\(directory.appending("state"))",
      "CNET_RESOLV_CONF=/dev/null", "CNET_NAME_SERVER=none", "CNET_HOST_NAMESPACE=\(world.host.path)",
    ]
    for (number, name) in networks.enumerated() {
      try cnet("network", "create", "--subnet", "10.\(70 + number).0.0/16", name)
    }
  }

  /// Attaches and detaches, each by a process of its own, with eight containers attached beside it.
  func turn(_ range: Range<Int>) throws {
    var attached: [String] = []
    for number in 0..<range.count / 2 {
      let name = "c\(number)"
      try cnet(
        "attach", "--name", name, "--network", networks[number % 3], "-p", "\(20_000 + number % 8_000):80",
        "\(namespaces[number % namespaces.count].path)")
      attached.append(name)
      if attached.count > Self.beside { try cnet("detach", attached.removeFirst()) }
    }
    for name in attached { try cnet("detach", name) }
  }

  /// Counts resources once the kernel is done.
  func look() throws -> Inventory {
    var last = try Inventory(world, directory)
    for _ in 0..<120 {
      usleep(1_000_000)
      let now = try Inventory(world, directory)
      if now.isAs(last) { return now }
      last = now
    }
    return last
  }

  private func cnet(_ arguments: String...) throws {
    let command = Command(tool, arguments, environment: environment)
    let (output, status) = try world.run(command, in: world.outside, includesErrors: true)
    guard status == .exited(0) else {
      throw NetworkError(
        .refused, operation: "cnet \(arguments.joined(separator: " "))", reason: "it ended with \(status): \(output)")
    }
  }
}
