import ArgumentParser
import ContainerNetworking

struct ConnectContainer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Put a running container on one more network.")

  @OptionGroup(title: "Endpoint Options")
  var endpoint: EndpointArguments
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.")
  var network: String
  @Argument(help: "The container's name.")
  var container: String

  func run() async throws {
    let options = try endpoint.options()
    try await global.controller().connect(container, to: network, options: options)
  }
}

struct DisconnectContainer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect", abstract: "Take a running container off a network.")

  @Flag(name: .shortAndLong, help: "Also one that is stopped, or whose namespace is gone.")
  var force = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "Name, id, or the beginning of an id.")
  var network: String
  @Argument(help: "The container's name.")
  var container: String

  func run() async throws {
    try await global.controller().disconnect(container, from: network, isForced: force)
  }
}
