import AdapterSupport
import ContainerNetworking
import ContainerNetworkingStore
import FoundationEssentials
import Glibc
import SystemPackage
import UnixSignals

/// What the program was told to do.
struct Invocation {
  var socket: FilePath = "/run/docker/plugins/containernetworking.sock"
  var stateDirectory: FilePath
  var asksForHelp = false
  var asksForVersion = false

  init(_ arguments: [String], _ environment: [String: String]) throws(NetworkError) {
    stateDirectory = FilePath(environment["CNET_STATE_DIR"] ?? Product.stateDirectory)
    var rest = arguments[...]
    while let word = rest.popFirst() {
      switch word {
      case "--help", "-h": asksForHelp = true
      case "--version": asksForVersion = true
      case "--socket", "--state-dir":
        guard let value = rest.popFirst(), FilePath(value).isAbsolute else {
          throw NetworkError(
            .invalidValue, operation: "read the command line", reason: "\(word) takes an absolute path")
        }
        if word == "--socket" { socket = FilePath(value) } else { stateDirectory = FilePath(value) }
      default:
        throw NetworkError(
          .invalidValue, operation: "read the command line",
          reason: "\"\(word)\" is not known; there are --socket PATH, --state-dir DIR, --version and --help")
      }
    }
    guard stateDirectory.isAbsolute else {
      throw NetworkError(
        .invalidValue, operation: "read the environment",
        reason: "CNET_STATE_DIR is \"\(stateDirectory)\"; it takes an absolute path")
    }
  }

  static let help = """
    cnet-docker: Docker's remote network driver "containernetworking", on the record of cnet.

      --socket PATH       where dockerd finds it; /run/docker/plugins/containernetworking.sock
      --state-dir DIR     the record; $CNET_STATE_DIR, or \(Product.stateDirectory)
      --version, --help

    """
}

func serve(_ invocation: Invocation) async throws {
  // Docker's IPAM gives out the usual pools. Of those the record keeps none for a default network, which Docker has no use
  // for.
  let pools = try DefaultPools([DefaultPool(Subnet("10.255.0.0/16"), size: 24)])
  let controller = try await NetworkController(
    host: .current(), store: SQLiteStore(at: invocation.stateDirectory),
    settings: ControllerSettings(pools: pools, heals: true))
  let server = DriverServer(driver: NetworkDriverPlugin(controller: controller), socket: invocation.socket)
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await server.run() }
    group.addTask { for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { break } }
    // A signal, or a failure.
    try await group.next()
    group.cancelAll()
  }
}

func tell(_ text: String, _ file: FileDescriptor) { _ = try? file.writeAll(text.utf8) }

do {
  let invocation = try Invocation(Array(CommandLine.arguments.dropFirst()), ProcessInfo.processInfo.environment)
  if invocation.asksForHelp {
    tell(Invocation.help, .standardOutput)
  } else if invocation.asksForVersion {
    tell("\(Product.version)\n", .standardOutput)
  } else {
    try await serve(invocation)
  }
} catch {
  tell("cnet-docker: \(error)\n", .standardError)
  exit(1)
}
