import ContainerNetworking
import ContainerNetworkingTestKit

/// The commands, on a kernel in memory: runs as any user, and changes nothing on the machine.
@main struct Client {
  static func main() async throws {
    let kernel = SimulatedKernel()
    let controller = try await NetworkController(host: .create(on: kernel))
    let commands = Commands(controller: controller)
    let apps = try await commands.make("apps", "10.9.0.0/29")
    print(try await commands.make("apps", "10.9.0.0/29") == apps)
    let sandboxes = try await commands.start(["web", "web"], on: "apps", ports: ["8080:80"])
    print(sandboxes[0] == sandboxes[1], sandboxes[0].endpoints[0].address)

    for line in await failures(commands, kernel) { print(line) }
    try await commands.stop(["web", "web"])
    try await commands.start(["a", "b"], on: "apps").forEach { print($0.endpoints[0].address) }
    try await commands.remove(["apps", "apps"])
    print(try await controller.networks().count)
  }

  /// One failure of each kind that can be provoked.
  static func failures(_ commands: Commands, _ kernel: SimulatedKernel) async -> [String] {
    let controller = commands.controller
    var lines: [String] = []
    lines.append(
      await commands.attempt("an invalid port") { () throws(NetworkError) in _ = try PortMapping("0") })
    lines.append(
      await commands.attempt("an address in host mode") { () throws(NetworkError) in
        try await controller.attach("h", to: .host, options: AttachOptions(address: IPAddress("10.9.0.5")))
      })
    lines.append(
      await commands.attempt("a container twice") { () throws(NetworkError) in
        try await controller.attach("web", to: .network("apps"))
      })
    lines.append(
      await commands.attempt("an unknown network") { () throws(NetworkError) in
        try await controller.attach("other", to: .network("none-such"))
      })
    lines.append(
      await commands.attempt("a port of another container") { () throws(NetworkError) in
        _ = try await commands.start(["other"], on: "apps", ports: ["8080:80"])
      })
    lines.append(
      await commands.attempt("a full network") { () throws(NetworkError) in
        _ = try await commands.start(["c1", "c2", "c3", "c4", "c5", "c6"], on: "apps")
      })
    lines.append(
      await commands.attempt("a predefined name") { () throws(NetworkError) in
        try await controller.createNetwork("host")
      })
    lines.append(
      await commands.attempt("an unsupported driver") { () throws(NetworkError) in
        try await controller.createNetwork("wide", options: NetworkOptions(driver: .overlay))
      })
    kernel.inject(.noMemory, on: RequestType.newAddress)
    lines.append(
      await commands.attempt("a kernel without memory") { () throws(NetworkError) in
        try await controller.detach("c1")
        try await controller.attach("c1", to: .network("apps"))
      })
    kernel.clearFaults()
    return lines
  }
}
