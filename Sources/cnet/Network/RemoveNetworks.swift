import ArgumentParser
import ContainerNetworking

struct RemoveNetworks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove networks that nothing is on, and print each that was removed.",
    discussion: "Where one cannot be removed the others still are; the exit code is 1 then.", aliases: ["remove"])

  @Flag(name: .shortAndLong, help: "Do not mind a network that is not there.")
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
