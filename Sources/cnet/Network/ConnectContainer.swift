import ArgumentParser
import ContainerNetworking

struct ConnectContainer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Put a running container on one more network.",
    discussion:
      "A container that left by disconnect --keep gets back its settings there, unless an option says otherwise.")

  @OptionGroup(title: "Endpoint Options")
  var endpoint: EndpointArguments
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.", completion: .custom(Known.networks))
  var network: String
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String

  func run() async throws {
    let options = try endpoint.options()
    let controller = try await global.controller()
    try await controller.connect(try await containerName(container, controller), to: network, options: options)
  }
}

struct DisconnectContainer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect", abstract: "Take a running container off a network.")

  @Flag(name: .shortAndLong, help: "Also a stopped container, or one whose namespace is gone.")
  var force = false
  @Flag(help: "Keep its addresses, aliases, ports and interface until it is connected again.")
  var keep = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.", completion: .custom(Known.networks))
  var network: String
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String

  func run() async throws {
    let controller = try await global.controller()
    let name = try await containerName(container, controller)
    let left = try await controller.disconnect(name, from: network, isForced: force, keepsSettings: keep)
    guard !keep, !left.ports.isEmpty || !left.aliases.isEmpty else { return }
    let ports = left.ports.isEmpty ? [] : ["published \(left.ports.map(\.description).joined(separator: ", "))"]
    let aliases = left.aliases.isEmpty ? [] : ["known as \(left.aliases.joined(separator: ", "))"]
    Failure.warn(
      "\"\(name)\" is no longer \((ports + aliases).joined(separator: ", nor ")) on \"\(left.networkName)\"; a new "
        + "connect does not restore that, unless disconnect had --keep")
  }
}
