import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct Attach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Put a namespace that somebody else made on a network, and print the container's name.")

  @Option(help: .init("The container's name; the namespace's, unless said.", valueName: "name"))
  var name: String?
  @OptionGroup
  var attachment: AttachArguments
  @Option(help: .init("The namespace of this process.", valueName: "pid"))
  var pid: Int32?
  @Flag(help: "Print an object as ps --json does.")
  var json = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The namespace: a path, or a name under /run/netns.")
  var namespace: String?

  func validate() throws {
    guard (namespace == nil) != (pid == nil) else {
      throw ValidationError("Name the namespace, or give its process by --pid; one of the two.")
    }
  }

  func run() async throws {
    let given = if let pid { try NetworkNamespace.open(process: pid) } else { try cnet.namespace(namespace ?? "") }
    let known = pid.map { "pid-\($0)" } ?? String(namespace?.split(separator: "/").last ?? "")
    let controller = try await global.controller()
    let sandbox = try await attachment.attach(name ?? known, with: controller, namespace: given)
    print(json ? try JSON.line(ContainerRow(sandbox)) : sandbox.container)
  }
}

struct Detach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach", abstract: "Take containers off the network: endpoints, ports, addresses, all of it.",
    discussion: "A namespace that cnet made goes too; one that somebody else made stays.")

  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The containers' names; each is printed when it is done.")
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    try await forEach(names) { name throws(NetworkError) in
      try await controller.detach(name)
      print(name)
    }
  }
}
