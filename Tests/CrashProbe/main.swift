import ContainerNetworking
import ContainerNetworkingStore
import ContainerNetworkingTestKit
import Glibc
import SystemPackage

// A process that makes verbs on a shared state, each by a controller of its own, and ends like `kill -9` at a step of the
// last of them; with a step of 0 it makes that, too, and prints how many steps it has.
//
//     crash-probe STATE-DIRECTORY HOST-NAMESPACE STEP VERB ARGUMENT… [+ VERB ARGUMENT…]…

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 4, let step = Int(arguments[2]) else {
  print("usage: crash-probe STATE-DIRECTORY HOST-NAMESPACE STEP VERB ARGUMENT… [+ VERB ARGUMENT…]…")
  exit(2)
}
/// Attaches and detaches, and prints each container's addresses and ports while it owns them.
func churn(_ controller: NetworkController, _ name: String, rounds: Int) async throws {
  for round in 0..<rounds {
    let options = AttachOptions(ports: [try PortMapping("80")])
    let sandbox = try await controller.attach("\(name)-\(round)", options: options)
    // From the kernel's side: the address that the interface has.
    let seen = try sandbox.namespace.addresses.list().map(\.address).filter { !$0.address.isLoopback }
    let ports = sandbox.endpoints[0].ports.map(\.hostPort)
    print("has \(seen[0].address) \(ports[0])")
    // Said before it is given back.
    fflush(nil)
    print("gives \(seen[0].address) \(ports[0])")
    fflush(nil)
    try await controller.detach("\(name)-\(round)")
  }
}

let directory = FilePath(arguments[0])
// The start of the machine; by default the current one.
let boot = unsafe getenv("CRASH_PROBE_BOOT").map { unsafe String(cString: $0) }

/// Makes one verb on the state, counting its steps.
func make(_ verb: String, _ names: [String], _ countdown: Countdown) async throws {
  let kernel = KillingKernel(countdown)
  let host = NetworkNamespace(try kernel.openNamespace(at: FilePath(arguments[1])), of: kernel)
  var settings = ControllerSettings(resolvers: [], namespaceDirectory: directory.appending("netns"), bootID: boot)
  settings.filesDirectory = directory.appending("files")
  settings.names = KillingNames(countdown)
  // So that a network's second container is on a further bridge.
  if unsafe getenv("CRASH_PROBE_GROWS") != nil { (settings.bridgePorts, settings.bridgeTrunks) = (4, 3) }
  // One of several records of a host, whose rules are flushed.
  if verb == "mingle" { settings.heals = true }
  let controller = try await NetworkController(
    host: host, store: KillingStore(try SQLiteStore(at: directory), countdown), settings: settings)
  switch verb {
  case "attach":
    try await controller.attach(
      names[0], to: NetworkMode(names[1]),
      options: names.count > 2 && names[2].hasPrefix("ip=")
        ? AttachOptions(address: try IPAddress(String(names[2].dropFirst(3))))
        : AttachOptions(ports: names.count > 2 ? [PortMapping(names[2])] : []))
  case "ready-attach":
    // So slowly that no replacement is made for the handed-over one.
    try await controller.keepReady(2, refillsPerSecond: 0.000_1)
    try await controller.attach(names[0], options: AttachOptions(ports: [try PortMapping(names[1])]))
  case "detach": try await controller.detach(names[0])
  case "stop": try await controller.stop(names[0])
  case "open": break
  case "create":
    var options = NetworkOptions(subnet: try Subnet(names[1]), isIPv6Enabled: true)
    if names.count > 2 { options.bridge = try InterfaceName(names[2]) }
    try await controller.createNetwork(names[0], options: options)
  case "create-macvlan":
    try await controller.createNetwork(
      names[0],
      options: NetworkOptions(
        driver: .macvlan, subnet: Subnet(names[1]), isIPv6Enabled: true, parent: InterfaceName(names[2])))
  case "rm": try await controller.removeNetwork(names[0])
  case "prune": try await controller.prune()
  case "publish": try await controller.publish([PortMapping(names[1])], of: names[0])
  case "unpublish": try await controller.unpublish([PortMapping(names[1])], of: names[0])
  case "connect": try await controller.connect(names[0], to: names[1])
  case "disconnect": try await controller.disconnect(names[0], from: names[1])
  case "ensure":
    try await controller.ensureNetwork(names[0], options: NetworkOptions(subnet: Subnet(names[1]), isIPv6Enabled: true))
  case "leave-networks": try await controller.ensureDetached(names[0], from: Array(names[1...]))
  case "keep-only":
    let report = try await controller.keepOnly(containers: names)
    if let failure = report.failures.first { throw failure }
  case "create-endpoint":
    try await controller.createEndpoint(
      names[0], on: names[1], options: EndpointOptions(addresses: [IPAddress(names[2])]), ports: [PortMapping(names[3])]
    )
  case "join": try await controller.joinEndpoint(names[0])
  case "leave": try await controller.leaveEndpoint(names[0])
  case "delete-endpoint": try await controller.deleteEndpoint(names[0])
  case "churn": try await churn(controller, names[0], rounds: Int(names[1]) ?? 0)
  case "mingle":
    try await mingle(
      controller, number: Int(names[0]) ?? 0, seed: UInt64(names[1]) ?? 0, verbs: Int(names[2]) ?? 0)
  default:
    print("unknown verb \(verb)")
    exit(2)
  }
}

do {
  let verbs = arguments[3...].split(separator: "+").map(Array.init)
  for (number, words) in verbs.enumerated() {
    let isLast = number == verbs.count - 1
    let countdown = Countdown(killingAt: isLast ? step : 0)
    try await make(words[0], Array(words.dropFirst()), countdown)
    if isLast { print("steps \(countdown.count)") }
  }
} catch {
  print("failed: \(error)")
  exit(1)
}
