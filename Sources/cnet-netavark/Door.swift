import AdapterNames
import AdapterSupport
import ContainerNetworking
import ContainerNetworkingStore
import FoundationEssentials
import SystemPackage

/// The record that podman's networks are on.
struct Door {
  let record: EngineRecord
  /// Whether names are answered, in place of aardvark-dns.
  let servesNames: Bool
  var controller: NetworkController { record.controller }

  /// Opens it: `CNET_STATE_DIR`, or the usual place; of a user who is not root, podman's own directory.
  init(_ call: CommandLineCall, _ environment: [String: String]) async throws(NetworkError) {
    if let driver = environment["NETAVARK_FW"] { try CommandLineCall.checkFirewall(driver, "NETAVARK_FW") }
    let rootless = call.isRootless ? call.configDirectory.map { FilePath($0).appending("containernetworking") } : nil
    let directory = environment["CNET_STATE_DIR"].map { FilePath($0) } ?? rootless ?? FilePath(Product.stateDirectory)
    guard directory.isAbsolute else {
      throw NetworkError(
        .invalidValue, operation: "open the record",
        reason: "CNET_STATE_DIR is \"\(directory)\", which is not an absolute path")
    }
    let names = try Self.names(directory, environment)
    servesNames = names != nil
    // It ends before its containers do, and podman holds their ports: conmon has the sockets.
    var settings = ControllerSettings(
      names: names, reservesPorts: false, engineHoldsPorts: true)
    if let path = environment["CNET_RESOLV_CONF"] { settings.hostFiles.resolvConf = FilePath(path) }
    record = try await EngineRecord(
      NetworkController(host: .current(), store: SQLiteStore(at: directory), settings: settings),
      label: NetworkConfiguration.label)
  }

  /// Who answers for names; nil for nobody.
  private static func names(
    _ directory: FilePath, _ environment: [String: String]
  ) throws(NetworkError) -> (any NameService)? {
    let variable = "CNET_NAME_SERVER"
    var choice = NameServerChoice.auto
    if let text = environment[variable] { choice = try NameServerChoice(variable: variable, text) }
    return choice.service(directory, nameServer(environment))
  }

  /// `cnet`, beside this program or in the path.
  private static func nameServer(_ environment: [String: String]) -> FilePath {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map { FilePath($0) }
    let directories =
      [own?.removingLastComponent()].compactMap(\.self)
      + (environment["PATH"] ?? "").split(separator: ":").map { FilePath(String($0)) }
    let places = directories.map { $0.appending("cnet") }
    return places.first { FileManager.default.isExecutableFile(atPath: $0.string) } ?? FilePath("cnet")
  }
}
