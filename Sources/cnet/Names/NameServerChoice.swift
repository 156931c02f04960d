import ArgumentParser
import ContainerNetworking

/// Who answers for the names of custom networks.
enum NameServerChoice: String, ExpressibleByArgument, CaseIterable {
  /// The state directory's server; one is started where none runs.
  case auto
  /// The state directory's server, which somebody runs.
  case running
  /// Nobody: containers ask whom the host asks.
  case none

  /// Reads what an environment variable says.
  init(variable name: String, _ text: String) throws(NetworkError) {
    guard let choice = NameServerChoice(rawValue: text) else {
      throw NetworkError(
        .invalidValue, operation: "read $\(name)",
        reason: "\"\(text)\" is none of auto, running and none; set one of them")
    }
    self = choice
  }
}
