import AdapterNames
import AdapterSupport
import ArgumentParser
import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import FoundationEssentials
import SystemPackage

/// The options of every verb.
struct GlobalOptions: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: .init("The directory of the record.", valueName: "dir"), completion: .directory)
  var stateDirectory: String?

  @Option(
    name: .customLong("host-namespace"),
    help: .init(
      "The namespace of bridges and rules: a path, or a name under /run/netns.", valueName: "path|name"),
    completion: .file())
  var hostNamespace: String?

  @Option(help: .init("Colours: auto, always or never.", valueName: "when"))
  var color = ColorChoice.auto

  @Option(
    name: .customLong("name-server"),
    help: .init("The name server of custom networks: auto, running or none.", valueName: "who"))
  var nameServer: NameServerChoice?

  /// A controller of the host namespace, with the record on disk.
  ///
  /// - Parameters:
  ///   - reservesPorts: Whether this process lives long enough to reserve published ports.
  ///   - forwarder: Serves ports at addresses that the kernel does not translate.
  func controller(
    reservesPorts: Bool = false, forwarder: (any PortForwarding)? = nil
  ) async throws(NetworkError) -> NetworkController {
    let place = try place()
    let store = try place.store()
    var settings = ControllerSettings(
      namespaceDirectory: place.subdirectory("netns"), reservesPorts: reservesPorts, forwarder: forwarder)
    settings.filesDirectory = place.subdirectory("files")
    settings.hostFiles = place.hostFiles
    settings.names = try names(of: place)
    return try await NetworkController(host: place.host, store: store, settings: settings)
  }

  /// The place selected by the options, else by the environment.
  func place() throws(NetworkError) -> StatePlace {
    let environment = ProcessInfo.processInfo.environment
    var place = StatePlace(
      directory: absolutePath(stateDirectory ?? environment["CNET_STATE_DIR"] ?? StatePlace.usualDirectory),
      host: try NetworkNamespace.current())
    if let text = hostNamespace ?? environment["CNET_HOST_NAMESPACE"] {
      place.hostPath = namespacePath(text)
      place.host = try namespace(text)
    }
    if let path = environment["CNET_RESOLV_CONF"] { place.hostFiles.resolvConf = absolutePath(path) }
    return place
  }

  private func names(of place: StatePlace) throws(NetworkError) -> (any NameService)? {
    let variable = "CNET_NAME_SERVER"
    let choice =
      if let nameServer { nameServer } else if let text = ProcessInfo.processInfo.environment[variable] {
        try NameServerChoice(variable: variable, text)
      } else { NameServerChoice.auto }
    return choice.service(
      place.directory, "/proc/self/exe", arguments: place.hostArguments, environment: place.environment)
  }
}

extension NameServerChoice: ExpressibleByArgument {}

/// A host and where its record is kept.
struct StatePlace {
  /// Where it is unless said.
  static let usualDirectory = Product.stateDirectory

  var directory: FilePath
  var host: NetworkNamespace
  /// The file of the host's namespace; nil for this process's own.
  var hostPath: FilePath?
  var hostFiles = HostNameFiles()

  init(directory: FilePath, host: NetworkNamespace) {
    self.directory = directory
    self.host = host
  }

  /// The arguments for another process of this program that should work for the same host.
  var arguments: [String] {
    ["--state-dir", directory.string] + hostArguments
  }

  /// Those of them that say which host it is.
  var hostArguments: [String] { hostPath.map { ["--host-namespace", $0.string] } ?? [] }

  /// With this in its environment.
  var environment: [String: String] { ["CNET_RESOLV_CONF": hostFiles.resolvConf.string] }

  /// Whether the host and its record still exist.
  var isThere: Bool {
    guard let hostPath else { return FileManager.default.fileExists(atPath: directory.string) }
    return FileManager.default.fileExists(atPath: directory.string)
      && (try? NetworkNamespace.open(at: hostPath).identity) == host.identity
  }

  /// The record.
  func store() throws(NetworkError) -> any Store { try Self.store(at: directory) }

  /// The only place that chooses the kind of store.
  static func store(at directory: FilePath) throws(NetworkError) -> any Store { try SQLiteStore(at: directory) }

  /// A directory for pins or containers' files: here, and not in /run/netns, so that each record has its own.
  func subdirectory(_ name: String) -> FilePath { directory.appending(name) }
}

/// The namespace at a path, or with a name under /run/netns.
func namespace(_ text: String) throws(NetworkError) -> NetworkNamespace {
  text.contains("/") ? try .open(at: absolutePath(text)) : try .open(name: text)
}

private func namespacePath(_ text: String) -> FilePath {
  text.contains("/") ? absolutePath(text) : FilePath("/run/netns").appending(text)
}

/// Records outlive this process and its working directory.
func absolutePath(_ text: String) -> FilePath {
  let path = FilePath(text)
  return path.isAbsolute
    ? path : FilePath(FileManager.default.currentDirectoryPath).appending(path.components).lexicallyNormalized()
}
