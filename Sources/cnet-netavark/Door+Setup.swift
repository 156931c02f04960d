import AdapterSupport
import ContainerNetworking
import SystemPackage

extension Door {
  /// Puts a container on its networks; a failure takes back what this call has made.
  ///
  /// - Returns: What is printed: an object with a key for each network.
  func setUp(_ request: Request, at path: String) async throws(NetworkError) -> JSON {
    let namespace = try Self.open(path)
    // As the loopback plugin of CNI would: an engine expects it up, also on no network.
    try namespace.links.setUp(index: namespace.links.get("lo").index)
    var answers: [String: JSON] = [:]
    let carrier = request.attachments.first { $0.network.publishes }?.network.name
    var made: [String] = []
    do throws(NetworkError) {
      for attachment in request.attachments {
        let name = attachment.network.name
        let ports = name == carrier ? request.ports : []
        let (endpoint, network) = try await attach(request, attachment, ports, namespace)
        made.append(name)
        try record.addRoutes(attachment.network.wish.routes, by: endpoint, in: namespace)
        answers[name] =
          StatusBlock(endpoint, on: network, servesNames: servesNames && attachment.network.servesNames).json
      }
    } catch {
      var failure = error
      do throws(NetworkError) {
        try await takeOff(request, from: made, Set(request.attachments.map(\.network.name)))
      } catch { failure.causes.append(error) }
      throw failure
    }
    return .object(answers)
  }

  private static func open(_ path: String) throws(NetworkError) -> NetworkNamespace {
    do throws(NetworkError) { return try NetworkNamespace.open(at: FilePath(path)) } catch {
      throw NetworkError(
        .invalidValue, operation: "open \(path)",
        reason: "it opens no network namespace; the verb takes the path of one, as in /run/netns/NAME", causes: [error])
    }
  }

  private func attach(
    _ request: Request, _ attachment: Request.Attachment, _ ports: [PortMapping], _ namespace: NetworkNamespace
  ) async throws(NetworkError) -> (Endpoint, NetworkRecord) {
    let configuration = attachment.network
    let options = AttachOptions(
      ports: try await unpublished(ports, of: request, besides: configuration.name),
      endpoint: EndpointOptions(
        addresses: attachment.addresses, macAddress: attachment.macAddress,
        aliases: StatusBlock.names(of: request.containerName, configuration.servesNames ? attachment.aliases : []),
        interface: attachment.interface, gatewayPriority: configuration.gatewayPriority(attachment.interface),
        takesDefaultRoute: configuration.takesDefaultRoute),
      names: NameOptions(dns: request.dnsServers))
    var attempt = 0
    while true {
      attempt += 1
      var network = try await record.ensureNetwork(configuration.name, configuration.wish)
      let servers = configuration.wish.options.dnsServers
      if servers != network.dnsServers ?? [], network.labels[NetworkConfiguration.label] != nil {
        network = try await controller.setDNSServers(servers, of: network.id)
      }
      do throws(NetworkError) {
        return (try await record.attach(request.containerID, options, to: network, namespace), network)
      } catch {
        switch error.code {
        // Its last container has left it at this moment, and it has gone with it.
        case .notFound where attempt < 20: continue
        // podman gives out addresses and ports, and has forgotten who had this one.
        case .inUse where attempt < 3:
          guard try await forgetTheDead() else { throw error }
        default: throw error
        }
      }
    }
  }

  private func unpublished(
    _ ports: [PortMapping], of request: Request, besides network: String
  ) async throws(NetworkError) -> [PortMapping] {
    do throws(NetworkError) {
      return try await record.unpublished(ports, of: request.containerID, besides: network)
    } catch {
      // On its first network, or in a new namespace.
      try error.rethrow(unless: .notFound, .closed)
      return ports
    }
  }

  /// Takes containers of podman off the record that are gone without a word: after a start of the machine, or of podman.
  ///
  /// - Returns: Whether there was one.
  private func forgetTheDead() async throws(NetworkError) -> Bool {
    var found = false
    for network in try await controller.networks() where network.labels[NetworkConfiguration.label] != nil {
      for endpoint in try await controller.inspect(network.id).endpoints where try await isDead(endpoint) {
        try await controller.ensureDetached(endpoint.container)
        found = true
      }
    }
    return found
  }

  private func isDead(_ endpoint: Endpoint) async throws(NetworkError) -> Bool {
    if endpoint.phase == .stopped { return true }
    do throws(NetworkError) { _ = try await controller.sandbox(endpoint.container) } catch {
      try error.rethrow(unless: .closed, .notFound)
      return error.code == .closed
    }
    return false
  }
}
