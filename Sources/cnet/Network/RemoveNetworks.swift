import ArgumentParser
import ContainerNetworking

struct RemoveNetworks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove unused networks, and print each.",
    discussion: "If one cannot be removed, the others still are, and the exit code is 1.", aliases: ["remove"])

  @Flag(name: .shortAndLong, help: "Ignore a missing network.")
  var force = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.", completion: .custom(Known.networks))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    try await forEach(names) { name throws(NetworkError) in
      if PredefinedNetwork(rawValue: name) != nil {
        throw NetworkError(
          .refused, operation: "remove network \"\(name)\"", reason: "\"\(name)\" is predefined and stays")
      }
      do throws(NetworkError) {
        try await controller.removeNetwork(name)
        print(name)
      } catch {
        guard force, error.code == .notFound else { throw error }
      }
    }
  }
}
