import AdapterSupport
import ContainerNetworking
import ContainerNetworkingStore
import FoundationEssentials
import Glibc
import SystemPackage

/// One call of the plugin: the request, and the record.
struct Plugin {
  let invocation: Invocation
  let configuration: Configuration
  let record: EngineRecord

  init(
    _ invocation: Invocation, _ configuration: Configuration, _ environment: [String: String]
  ) async throws(CNIError) {
    self.invocation = invocation
    self.configuration = configuration
    let directory = FilePath(
      configuration.stateDirectory ?? environment["CNET_STATE_DIR"] ?? Product.stateDirectory)
    guard directory.isAbsolute else {
      throw CNIError(.invalidConfiguration, "stateDir: \"\(directory)\" is not an absolute path")
    }
    record = try await calling { () throws(NetworkError) in
      // It ends before its containers do: it holds no ports.
      try await EngineRecord(
        NetworkController(
          host: .current(), store: SQLiteStore(at: directory),
          settings: ControllerSettings(reservesPorts: false, engineHoldsPorts: Self.isCalledByPodman)),
        label: NetworkFields.label)
    }
  }

  var controller: NetworkController { record.controller }

  /// podman holds the ports of its containers by sockets of its own, also while they are published again; others do not.
  private static var isCalledByPodman: Bool {
    (try? String(contentsOf: URL(filePath: "/proc/\(getppid())/comm"), encoding: .utf8)) == "podman\n"
  }

  /// Carries out the request.
  ///
  /// - Returns: The output; nil for none.
  func run() async throws(CNIError) -> JSON? {
    switch (configuration.kind, invocation.verb) {
    case (_, .status), (_, .version): return nil
    case (.loopback, _): return try bringUpLoopback()
    case (.firewall, .add): return try previousResult()
    case (.firewall, _): return nil
    case (.tuning, .add), (.tuning, .check): return try tune()
    case (.tuning, _): return nil
    case (.portmap, .add): return try await publish()
    case (.portmap, .delete): return try await unpublish()
    case (.portmap, .collectGarbage): return nil
    case (_, .add): return try await add()
    case (_, .delete): return try await delete()
    case (_, .check): return try await check()
    case (_, .collectGarbage): return try await collectGarbage()
    }
  }
}
