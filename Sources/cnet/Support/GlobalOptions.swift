import ArgumentParser
import ContainerNetworking
import ContainerNetworkingStore
import FoundationEssentials
import SystemPackage

/// What every verb takes.
struct GlobalOptions: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: .init("Where the record is kept.", valueName: "dir"), completion: .directory)
  var stateDirectory: String?

  @Option(
    name: .customLong("host-namespace"),
    help: .init(
      "Where bridges and rules are made: a path, or a name under /run/netns.", valueName: "path|name"),
    completion: .file())
  var hostNamespace: String?

  @Option(help: .init("Colours: auto, always or never.", valueName: "when"))
  var color = ColorChoice.auto

  /// A controller of the host namespace, with the record on disk.
  ///
  /// - Parameters:
  ///   - reservesPorts: Whether this process goes on for long enough to hold published ports.
  ///   - forwarder: What serves them where the kernel does not.
  func controller(
    reservesPorts: Bool = false, forwarder: (any PortForwarding)? = nil
  ) async throws(NetworkError) -> NetworkController {
    let environment = ProcessInfo.processInfo.environment
    let directory = absolutePath(stateDirectory ?? environment["CNET_STATE_DIR"] ?? "/var/lib/containernetworking")
    let host =
      if let text = hostNamespace ?? environment["CNET_HOST_NAMESPACE"] { try namespace(text) } else {
        try NetworkNamespace.current()
      }
    let store = try Self.store(at: directory)
    var settings = ControllerSettings(
      namespaceDirectory: try Self.subdirectory("netns", of: directory), reservesPorts: reservesPorts,
      forwarder: forwarder)
    settings.filesDirectory = try Self.subdirectory("files", of: directory)
    if let path = environment["CNET_RESOLV_CONF"] { settings.hostFiles.resolvConf = absolutePath(path) }
    return try await NetworkController(host: host, store: store, settings: settings)
  }

  /// The one place that says what the record is kept in.
  private static func store(at directory: FilePath) throws(NetworkError) -> any Store {
    do throws(NetworkError) { return try SQLiteStore(at: directory) } catch {
      guard error.code == .notFound else { throw error }
      var failure = error
      failure.reason = "its parent is not there; make it, or name another --state-dir"
      throw failure
    }
  }

  /// Where namespaces are pinned, and containers' files are: here, and not in /run/netns, so that each record has its own.
  private static func subdirectory(_ name: String, of directory: FilePath) throws(NetworkError) -> FilePath {
    let path = directory.appending(name)
    do {
      try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    } catch {
      throw NetworkError(
        .permissionDenied, operation: "make directory \(path)",
        reason: "it cannot be made; run as root, or name another --state-dir")
    }
    return path
  }
}

/// The namespace of a path, or of a name under /run/netns.
func namespace(_ text: String) throws(NetworkError) -> NetworkNamespace {
  text.contains("/") ? try .open(at: absolutePath(text)) : try .open(name: text)
}

/// Records outlive this process and its working directory.
func absolutePath(_ text: String) -> FilePath {
  let path = FilePath(text)
  return path.isAbsolute
    ? path : FilePath(FileManager.default.currentDirectoryPath).appending(path.components).lexicallyNormalized()
}
