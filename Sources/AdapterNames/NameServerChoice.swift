package import ContainerNetworking
import ContainerNetworkingDNS
package import SystemPackage

/// Who answers for the names of custom networks.
package enum NameServerChoice: String, CaseIterable, Sendable {
  /// The state directory's server; one is started where none runs.
  case auto
  /// The state directory's server, which somebody runs.
  case running
  /// No server: containers ask the host's name servers.
  case none

  /// Reads what an environment variable says.
  package init(variable name: String, _ text: String) throws(NetworkError) {
    guard let choice = NameServerChoice(rawValue: text) else {
      throw NetworkError(
        .invalidValue, operation: "read $\(name)",
        reason: "\"\(text)\" is not auto, running or none; set one of these")
    }
    self = choice
  }

  /// The service that it means.
  ///
  /// - Parameters:
  ///   - directory: The state directory.
  ///   - program: The program that serves names, as `cnet` does, where one is to be started.
  ///   - arguments: What it is given besides the directory.
  ///   - environment: What it has besides this process's.
  package func service(
    _ directory: FilePath, _ program: FilePath, arguments: [String] = [], environment: [String: String] = [:]
  ) -> (any NameService)? {
    switch self {
    case .none: nil
    case .running: RemoteNameService(directory: directory)
    case .auto:
      StartedNameService(
        directory: directory, program: program,
        arguments: ["dns", "--until-idle", "--state-dir", directory.string] + arguments, environment: environment)
    }
  }
}
