import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct Attach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Put an existing namespace on a network, and print the container's name.", helpNames: .long)

  @Option(help: .init("The container's name; by default the namespace's.", valueName: "name"))
  var name: String?
  @OptionGroup
  var attachment: AttachArguments
  @Option(help: .init("The namespace of this process.", valueName: "pid"))
  var pid: Int32?
  @Flag(help: "Print one JSON object, as ps --json does.")
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
    let row = ContainerRow(ContainerInspection(sandbox: sandbox, known: nil), isWhole: false)
    print(json ? try JSON.line(row.json(isJoined: false)) : sandbox.container)
  }
}

struct Detach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach", abstract: "Take containers off all networks; release endpoints, ports and addresses.",
    discussion: "A namespace made by cnet is removed, too; any other stays.")

  @OptionGroup
  var global: GlobalOptions
  @Argument(
    help: "The containers' names or ids; each is printed once detached.", completion: .custom(Known.containers))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    let files = RunFiles(try global.place())
    try await forEach(names) { text throws(NetworkError) in
      let name = try await containerName(text, controller)
      try await controller.detach(name)
      files.forget(name)
      print(text)
    }
  }
}
