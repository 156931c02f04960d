import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct Inspect: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Print the details of containers and networks, as JSON with Docker's field names.",
    discussion: """
      If one is missing, the others are still printed, and the exit code is 1. A name of both a container and a \
      network means the container, unless --type says otherwise.
      """)

  @Option(
    name: .shortAndLong,
    help: .init(
      "A template for each, as in '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'; or json.",
      valueName: "format"))
  var format: String?
  @Option(help: .init("The type: container or network; by default both.", valueName: "type"))
  var type: InspectedType?
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.", completion: .custom(Known.containersAndNetworks))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    let files = RunFiles(try global.place())
    let type = type
    try await Inspection(format: format).print(names) { name throws(NetworkError) in
      switch type {
      case .container: try await Self.container(name, controller, files)
      case .network: try await InspectNetworks.inspect(name, controller)
      case nil: try await Self.either(name, controller, files)
      }
    }
  }

  private static func container(
    _ text: String, _ controller: NetworkController, _ files: RunFiles
  ) async throws(NetworkError) -> JSON {
    let name = try await containerName(text, controller)
    return ContainerInspection(sandbox: try await controller.sandbox(name), known: files.known(name)).json
  }

  private static func either(
    _ name: String, _ controller: NetworkController, _ files: RunFiles
  ) async throws(NetworkError) -> JSON {
    do throws(NetworkError) { return try await container(name, controller, files) } catch {
      guard error.code == .notFound else { throw error }
    }
    do throws(NetworkError) { return try await InspectNetworks.inspect(name, controller) } catch {
      guard error.code == .notFound else { throw error }
      throw NetworkError(
        .notFound, operation: "inspect \"\(name)\"",
        reason: "no container and no network has that name or id; see cnet ps and cnet network ls")
    }
  }
}

/// The kind of object that `inspect` looks up.
enum InspectedType: String, ExpressibleByArgument, CaseIterable {
  case container, network
}

/// The output format of `inspect`.
struct Inspection {
  var format: String?

  /// Prints the result of `look` for each name; reports its errors, with exit code 1 at the end.
  func print(_ names: [String], _ look: (String) async throws(NetworkError) -> JSON) async throws {
    let template = try format.flatMap { text throws(NetworkError) in text == "json" ? nil : try Template(text) }
    var found: [JSON] = []
    var missing: ExitCode?
    do { try await forEach(names) { name throws(NetworkError) in found.append(try await look(name)) } } catch {
      missing = error as? ExitCode
    }
    switch (template, format) {
    case (let template?, _): for value in found { Swift.print(try template.render(value)) }
    case (nil, _?): Swift.print(try JSON.line(found))
    case (nil, nil): Swift.print(try JSON.list(found).page())
    }
    if let missing { throw missing }
  }
}
