import ArgumentParser
import ContainerNetworking

struct Publish: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publish ports of a running container, and print where.",
    discussion: """
      Without a host port, one is picked from the host's ephemeral range. From a range of host ports for one \
      container port, the first free one is taken.
      """)

  @Option(
    help: .init("One of its networks; by default the one with the default route.", valueName: "network"),
    completion: .custom(Known.networks))
  var network: String?
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String
  @Argument(help: .init("[[IP:]HOST:]CONTAINER[/tcp|udp|sctp], with ranges as in 8000-8002:80-82.", valueName: "port"))
  var ports: [String]

  func run() async throws {
    let mappings = try PortMapping.list(ports)
    let controller = try await global.controller()
    let name = try await containerName(container, controller)
    let published = try await controller.publish(mappings, of: name, on: network)
    for line in PortLine.lines(of: published) { print(line) }
  }
}

struct Unpublish: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unpublish", abstract: "Release published ports of a running container, and print them.",
    discussion: """
      A port releases every match: 80 the container's port 80 at each host port; 8080:80 that one alone.
      """)

  @Option(
    help: .init("One of its networks; by default the one with the default route.", valueName: "network"),
    completion: .custom(Known.networks))
  var network: String?
  @Flag(help: "Release all of them.")
  var all = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String
  @Argument(help: .init("The ports, as they were published.", valueName: "port"))
  var ports: [String] = []

  func validate() throws {
    guard all != !ports.isEmpty else { throw ValidationError("Name ports, or give --all; one of the two.") }
  }

  func run() async throws {
    let mappings = try all ? nil : PortMapping.list(ports)
    let controller = try await global.controller()
    let name = try await containerName(container, controller)
    let released = try await controller.unpublish(mappings, of: name, on: network)
    for line in PortLine.lines(of: released) { print(line) }
  }
}

struct ListPorts: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "port", abstract: "List the published ports of a container, or where one of them is published.")

  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String
  @Argument(help: .init("A port of the container, as in 80 or 53/udp; by default tcp.", valueName: "port"))
  var port: String?

  func run() async throws {
    let wanted = try port.map { (text) throws(NetworkError) in try PortMapping(text) }
    let controller = try await global.controller()
    let sandbox = try await controller.sandbox(try await containerName(container, controller))
    let ports = sandbox.endpoints.flatMap(\.ports)
    guard let wanted else {
      for line in PortLine.lines(of: ports) { print(line) }
      return
    }
    guard wanted.hostPorts == nil, wanted.hostAddress == nil, wanted.containerPorts.count == 1 else {
      throw NetworkError(
        .invalidValue, operation: "read port \"\(port ?? "")\"",
        reason: "name a port of the container, as in 80 or 53/udp")
    }
    let lines = PortLine.lines(of: ports).filter {
      $0.container == wanted.containerPorts.lower && $0.transport == wanted.transport
    }
    guard !lines.isEmpty else {
      throw NetworkError(
        .notFound, operation: "find port \(wanted.containerPorts)/\(wanted.transport) of \"\(container)\"",
        reason: "it is not published; see cnet port \(container)")
    }
    for line in lines { print(line.place) }
  }
}

/// A line of `cnet port`, in the form of `docker port`.
struct PortLine: CustomStringConvertible {
  var container: UInt16
  var transport: TransportProtocol
  var place: String

  var description: String { "\(container)/\(transport) -> \(place)" }

  /// Sorted by container port and protocol, each with all host addresses.
  static func lines(of ports: [PublishedPort]) -> [PortLine] {
    ports.sorted {
      ($0.containerPort, $0.transport, $0.hostPort) < ($1.containerPort, $1.transport, $1.hostPort)
    }.flatMap { port in
      port.addresses.map { address in
        let host = address.family == .ipv6 ? "[\(address)]" : "\(address)"
        return PortLine(container: port.containerPort, transport: port.transport, place: "\(host):\(port.hostPort)")
      }
    }
  }
}

extension PortMapping {
  static func list(_ texts: [String]) throws(NetworkError) -> [PortMapping] {
    var mappings: [PortMapping] = []
    for text in texts { mappings.append(try PortMapping(text)) }
    return mappings
  }
}
