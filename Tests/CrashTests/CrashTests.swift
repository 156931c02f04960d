import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Netlink
import Playground
import SystemPackage
import Testing

/// Each verb, ended as by `kill -9` at each of its steps: before each change of the record, after it, and between any two
/// requests to the kernel. Whoever opens the state next undoes or finishes it: nothing is lost and nothing is left over.
@Suite(.timeLimit(.minutes(40))) struct CrashTests {
  /// What is made before the verb, the verb, and what can be there after it.
  struct Scenario: Sendable, CustomTestStringConvertible {
    var setup: [[String]]
    var verb: [String]
    /// Whether a network's first bridge has room for one container alone.
    var grows = false
    var testDescription: String { verb.joined(separator: " ") + (grows ? ", on a further bridge" : "") }
  }

  static let scenarios: [Scenario] = [
    Scenario(setup: [], verb: ["attach", "web", "bridge", "8080:80"]),
    Scenario(setup: [["attach", "first", "bridge"]], verb: ["attach", "web", "bridge", "8080:80"]),
    Scenario(setup: [["create", "blue", "10.7.0.0/24"]], verb: ["attach", "web", "blue"]),
    Scenario(setup: [["attach", "web", "bridge"]], verb: ["attach", "side", "container:web"]),
    Scenario(setup: [], verb: ["attach", "alone", "none"]),
    // Two kept ready, one of them handed over; the other goes with the process, at the latest when this ends.
    Scenario(setup: [["attach", "first", "bridge"]], verb: ["ready-attach", "web", "8080:80"]),
    Scenario(setup: [["attach", "web", "bridge", "8080:80"]], verb: ["detach", "web"]),
    Scenario(
      setup: [["attach", "web", "bridge"], ["attach", "side", "container:web"]], verb: ["detach", "web"]),
    Scenario(setup: [["attach", "web", "bridge"]], verb: ["stop", "web"]),
    Scenario(
      setup: [["create", "blue", "10.7.0.0/24"], ["attach", "web", "blue", "ip=10.7.0.9"]], verb: ["stop", "web"]),
    Scenario(
      setup: [["create", "blue", "10.7.0.0/24"], ["attach", "web", "blue", "ip=10.7.0.9"], ["stop", "web"]],
      verb: ["attach", "web", "blue"]),
    Scenario(setup: [], verb: ["create", "blue", "10.7.0.0/24"]),
    Scenario(setup: [["attach", "web", "bridge"]], verb: ["create", "blue", "10.7.0.0/24"]),
    Scenario(setup: [["create", "blue", "10.7.0.0/24"]], verb: ["rm", "blue"]),
    Scenario(setup: [["attach", "web", "bridge"], ["create", "blue", "10.7.0.0/24"]], verb: ["prune"]),
    Scenario(
      setup: [["attach", "web", "bridge"], ["create", "blue", "10.7.0.0/24"]], verb: ["connect", "web", "blue"]),
    Scenario(
      setup: [["attach", "web", "bridge"], ["create", "blue", "10.7.0.0/24"], ["connect", "web", "blue"]],
      verb: ["disconnect", "web", "bridge"]),
    Scenario(setup: [], verb: ["ensure", "blue", "10.7.0.0/24"]),
    Scenario(
      setup: [["attach", "web", "bridge"], ["create", "blue", "10.7.0.0/24"], ["connect", "web", "blue"]],
      verb: ["leave-networks", "web", "bridge"]),
    Scenario(
      setup: [["attach", "web", "bridge"], ["attach", "lost", "bridge", "8080:80"]], verb: ["keep-only", "web"]),
    // Endpoints whose links are handed out.
    Scenario(setup: [blue, endpoint], verb: ["join", "e1"]),
    Scenario(setup: [blue, endpoint, ["join", "e1"]], verb: ["leave", "e1"]),
    Scenario(setup: [blue, endpoint, ["join", "e1"]], verb: ["delete-endpoint", "e1"]),
    Scenario(setup: [["attach", "web", "bridge"]], verb: ["publish", "web", "5353:53/udp"]),
    Scenario(setup: [["attach", "web", "bridge", "8080:80"]], verb: ["publish", "web", "8081:81"]),
    Scenario(setup: [["attach", "web", "bridge", "5353:53/udp"]], verb: ["unpublish", "web", "53/udp"]),
    // On a macvlan network, which has nothing on the host.
    Scenario(setup: [], verb: macvlan),
    Scenario(setup: [macvlan], verb: ["rm", "lan"]),
    Scenario(setup: [macvlan], verb: ["attach", "web", "lan"]),
    Scenario(setup: [macvlan, ["attach", "web", "lan"]], verb: ["detach", "web"]),
    Scenario(setup: [macvlan, ["attach", "web", "lan"]], verb: ["stop", "web"]),
    Scenario(setup: [macvlan, ["attach", "web", "bridge"]], verb: ["connect", "web", "lan"]),
    Scenario(
      setup: [macvlan, ["attach", "web", "bridge"], ["connect", "web", "lan"]], verb: ["disconnect", "web", "lan"]),
    Scenario(
      setup: [macvlan, ["attach", "web", "lan"], ["create", "blue", "10.7.0.0/24"]], verb: ["connect", "web", "blue"]),
  ]
  /// With a second container on the network, for which it grows over a further bridge.
  static let growing: [Scenario] = [
    Scenario(setup: [["attach", "first", "bridge"]], verb: ["attach", "web", "bridge", "8080:80"], grows: true),
    Scenario(
      setup: [["attach", "first", "bridge"], ["attach", "web", "bridge", "8080:80"]], verb: ["detach", "web"],
      grows: true),
    Scenario(
      setup: [
        ["create", "blue", "10.7.0.0/24"], ["attach", "first", "blue"], ["attach", "web", "blue", "ip=10.7.0.9"],
      ],
      verb: ["stop", "web"], grows: true),
    Scenario(
      setup: [["create", "blue", "10.7.0.0/24"], ["attach", "first", "blue"], ["attach", "web", "bridge"]],
      verb: ["connect", "web", "blue"], grows: true),
    Scenario(
      setup: [
        ["create", "blue", "10.7.0.0/24"], ["attach", "first", "blue"], ["attach", "web", "bridge"],
        ["connect", "web", "blue"],
      ], verb: ["disconnect", "web", "blue"], grows: true),
    Scenario(setup: [["attach", "first", "bridge"]], verb: ["ready-attach", "web", "8080:80"], grows: true),
    Scenario(setup: [blue, ["attach", "first", "blue"], endpoint], verb: ["join", "e1"], grows: true),
  ]
  private static let blue = ["create", "blue", "10.7.0.0/24"]
  private static let endpoint = ["create-endpoint", "e1", "blue", "10.7.0.9", "8080:80"]
  private static let macvlan = ["create-macvlan", "lan", "10.8.0.0/24", "eth0"]

  @Test(arguments: growing) func everyStepOfGrowing(_ scenario: Scenario) async throws { try await everyStep(scenario) }

  @Test(arguments: scenarios) func everyStep(_ scenario: Scenario) async throws {
    let world = try Playground()
    let whole = try Crash(world, grows: scenario.grows)
    #expect(try whole.run(0, scenario.verb, after: scenario.setup).output.hasPrefix("steps "))
    let after = try await whole.records()
    try await whole.end()
    let none = try Crash(world, grows: scenario.grows)
    #expect(try none.run(0, ["open"], after: scenario.setup).output.hasPrefix("steps "))
    let before = try await none.records()
    try await none.end()
    var step = 1
    while true {
      let crash = try Crash(world, grows: scenario.grows)
      let end = try crash.run(step, scenario.verb, after: scenario.setup)
      guard end.isKilled else {
        // Every step has been: this time there was none to end at.
        #expect(end.output == "steps \(step - 1)\n", "step \(step): \(end.output)")
        #expect(after != before)
        #expect(try await crash.records() == after)
        try await crash.expectClean("after \(scenario.testDescription)")
        try await crash.end()
        break
      }
      try await crash.expectClean("step \(step) of \(scenario.testDescription)")
      let found = try await crash.records()
      // Undone, or completed. A verb that creates the default network may have left that, complete.
      var withDefault = before
      withDefault.networks = ["bridge"]
      let isExpected = found == before || found == after || before.networks.isEmpty && found == withDefault
      #expect(isExpected, "step \(step): \(found)")
      let again = try crash.run(0, scenario.verb)
      if found == before {
        #expect(again.output.hasPrefix("steps "), "again after step \(step): \(again.output)")
      }
      try await crash.expectClean("again after step \(step) of \(scenario.testDescription)")
      try await crash.end()
      step += 1
    }
    print("crash points of \(scenario.testDescription): \(step - 1)")
    #expect(step > 3)
  }
}

/// A state in a directory, and processes that die at it.
struct Crash {
  let world: Playground
  let directory: FilePath
  /// Whether the processes' networks have room for one container on their first bridge, and for three on each further one.
  var grows = false

  init(_ world: Playground, grows: Bool = false) throws {
    self.world = world
    self.grows = grows
    directory = FilePath(
      FileManager.default.temporaryDirectory.appendingPathComponent("crash-\(UUID().uuidString)").path)
    for name in ["netns", "files"] {
      try FileManager.default.createDirectory(
        atPath: directory.appending(name).string, withIntermediateDirectories: true)
    }
  }

  /// The state of another, on another host.
  init(_ world: Playground, at directory: FilePath) {
    self.world = world
    self.directory = directory
  }

  /// The records, by name.
  struct Records: Equatable {
    var networks: [String]
    var containers: [String]
    /// Addresses that stopped containers keep, and endpoints without a sandbox.
    var kept: [String]
  }

  /// Opens the state like the next process, which undoes or completes unfinished work.
  ///
  /// - Parameter boot: The start of the machine; nil for the current one.
  func open(boot: String? = nil) async throws -> NetworkController {
    var settings = ControllerSettings(resolvers: [], namespaceDirectory: directory.appending("netns"), bootID: boot)
    settings.filesDirectory = directory.appending("files")
    return try await NetworkController(host: world.host, store: SQLiteStore(at: directory), settings: settings)
  }

  func records() async throws -> Records {
    let controller = try await open()
    let networks = try await controller.networks().map(\.name)
    var kept: [String] = []
    for network in networks {
      for endpoint in try await controller.inspect(network).endpoints where endpoint.phase == .stopped {
        kept.append("\(endpoint.container) \(network) \(endpoint.addresses)")
      }
      for endpoint in try await Self.endpoints(of: network, controller) {
        kept.append("\(endpoint.container) \(network) \(endpoint.phase) \(endpoint.addresses) \(endpoint.ports)")
      }
    }
    return Records(
      networks: networks,
      containers: try await controller.sandboxes().map { sandbox in
        "\(sandbox.container) \(sandbox.mode) \(sandbox.endpoints.map { "\($0.networkName) \($0.address) \($0.ports)" })"
      },
      kept: kept)
  }

  /// The endpoints of a network that have no sandbox.
  private static func endpoints(of network: String, _ controller: NetworkController) async throws -> [Endpoint] {
    try await controller.inspect(network).endpoints.filter { $0.interface.description.hasPrefix("ct") }
  }

  func probe(_ step: Int, _ verb: [String], boot: String? = nil) throws -> Process {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(filePath: own).deletingLastPathComponent().appending(path: "crash-probe")
    process.arguments = [directory.string, world.host.path.string, "\(step)"] + verb
    process.standardInput = FileHandle.nullDevice
    var environment = ProcessInfo.processInfo.environment
    if let boot { environment["CRASH_PROBE_BOOT"] = boot }
    if grows { environment["CRASH_PROBE_GROWS"] = "1" }
    process.environment = environment
    return process
  }

  /// Starts a verb in a process of its own.
  func start(_ verb: [String]) throws -> Process {
    let process = try probe(0, verb)
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Runs a verb in a process that dies at a step of it, and makes other verbs before.
  func run(_ step: Int, _ verb: [String], after setup: [[String]] = [], boot: String? = nil) throws -> (
    output: String, isKilled: Bool
  ) {
    let process = try probe(step, Array((setup + [verb]).joined(separator: ["+"])), boot: boot)
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (text, process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGKILL)
  }

  /// Whether record and kernel agree, and the kernel holds nothing of ours beyond.
  func expectClean(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let controller = try await open()
    let differences = try await controller.differences()
    #expect(differences == [], "\(what)", sourceLocation: sourceLocation)
    let networks = try await controller.networks()
    let sandboxes = try await controller.sandboxes()
    var endpoints = sandboxes.flatMap(\.endpoints)
    var handedOut: [String] = []
    for network in networks {
      for endpoint in try await Self.endpoints(of: network.name, controller) where endpoint.phase == .ready {
        endpoints.append(endpoint)
        handedOut.append("\(endpoint.interface)")
      }
    }
    let expected = Set(
      ["lo", "eth0"] + handedOut + networks.compactMap(\.bridge?.description)
        + endpoints.compactMap(\.hostInterface?.description)
        // Of a further bridge the trunk's two ends, too.
        + networks.flatMap { $0.furtherBridges ?? [] }.flatMap { further in
          ["br", "bd", "bu"].map { "\($0)\(further.name.description.dropFirst(2))" }
        })
    #expect(
      Set(networks.flatMap { $0.furtherBridges ?? [] }.map(\.name)) == Set(endpoints.compactMap(\.bridge)), "\(what)",
      sourceLocation: sourceLocation)
    #expect(Set(try world.host.links.list().map(\.name)) == expected, "\(what)", sourceLocation: sourceLocation)
    for sandbox in sandboxes where sandbox.mode.description != "host" {
      let own = ["lo"] + sandbox.endpoints.map(\.interface.description)
      #expect(
        Set(try sandbox.namespace.links.list().map(\.name)) == Set(own), "\(what): in \(sandbox.container)",
        sourceLocation: sourceLocation)
    }
    let needsHost = networks.contains { $0.driver == .bridge }
    let tables = try world.host.connection(.netfilter).dump(NftRequests.tables()).map { message in
      let table = try NftTable(message)
      return "\(table.family) \(table.name)"
    }
    #expect(
      tables == (needsHost ? ["inet containernetworking", "bridge containernetworking"] : []), "\(what)",
      sourceLocation: sourceLocation)
    #expect(
      try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == (needsHost ? "1" : "0"), "\(what)",
      sourceLocation: sourceLocation)
    let pins = try FileManager.default.contentsOfDirectory(atPath: directory.appending("netns").string)
    let owners = sandboxes.filter { sandbox in !sandbox.mode.description.hasPrefix("container:") }.map(\.container)
    // A namespace outlives the container that brought it while another is in it.
    let sharers = sandboxes.count - owners.count
    #expect(
      Set(pins).isSuperset(of: owners) && pins.count <= owners.count + sharers, "\(what): \(pins)",
      sourceLocation: sourceLocation)
    let directories = try FileManager.default.contentsOfDirectory(atPath: directory.appending("files").string)
    #expect(
      Set(directories) == Set(sandboxes.compactMap { $0.files?.directory.lastComponent?.string }), "\(what)",
      sourceLocation: sourceLocation)
    for sandbox in sandboxes {
      // A line for each of its addresses, and none for a former one.
      let hosts = try String(contentsOfFile: #require(sandbox.files).hosts.string, encoding: .utf8)
      let own = hosts.split(separator: "\n").dropFirst(7).compactMap {
        $0.split(separator: "\t").first.map(String.init)
      }
      #expect(
        own == sandbox.endpoints.flatMap { $0.addresses.map(\.address.description) }, "\(what): \(hosts)",
        sourceLocation: sourceLocation)
    }
    for endpoint in endpoints {
      let inspection = try await controller.inspect(endpoint.networkID)
      let kept = inspection.endpoints.count { $0.phase == .stopped }
      #expect(
        inspection.usage.allSatisfy { $0.inUse <= 3 + endpoints.count + kept }, "\(what)",
        sourceLocation: sourceLocation)
    }
  }

  /// Takes everything away.
  func end() async throws {
    let controller = try await open()
    try await controller.removeAll()
    #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"])
    for name in ["netns", "files"] {
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.appending(name).string) == [])
    }
    try FileManager.default.removeItem(atPath: directory.string)
  }
}
