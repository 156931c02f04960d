import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct InspectNetworks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Print the details of networks, as JSON with Docker's field names.",
    discussion: "If one is missing, the others are still printed, and the exit code is 1.")

  @Option(
    name: .shortAndLong,
    help: .init("A template for each, as in '{{range .IPAM.Config}}{{.Subnet}}{{end}}'; or json.", valueName: "format"))
  var format: String?
  @Flag(name: .shortAndLong, help: "No effect: all is shown anyway.")
  var verbose = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.", completion: .custom(Known.networks))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    try await Inspection(format: format).print(names) { name throws(NetworkError) in
      try await Self.inspect(name, controller)
    }
  }

  static func inspect(_ name: String, _ controller: NetworkController) async throws(NetworkError) -> JSON {
    do throws(NetworkError) {
      return try json(try await controller.inspect(name))
    } catch {
      let predefined = PredefinedNetwork.allCases.first { $0.rawValue == name || $0.id == name }
      guard error.code == .notFound, let predefined else { throw error }
      let members = predefined.members(of: try await controller.sandboxes())
      return try json(PredefinedInspection(network: predefined, members: members))
    }
  }

  private static func json(_ value: some Encodable) throws(NetworkError) -> JSON {
    do { return try JSON(value) } catch {
      throw NetworkError(.invalidValue, operation: "print network", reason: "\(error)")
    }
  }
}
