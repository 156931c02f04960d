import AdapterSupport
import ContainerNetworking
import SystemPackage

extension Plugin {
  /// Puts the container on the network, which is made if it is not there.
  func add() async throws(CNIError) -> JSON {
    let fields = try NetworkFields(configuration)
    let runtime = try RuntimeConfiguration(configuration, invocation.arguments)
    let namespace = try openNamespace()
    let interface = try await calling { () throws(NetworkError) in try InterfaceName(invocation.interface) }
    let network = try await ensureNetwork(fields)
    let container = invocation.containerID
    let isNew = try attachments.add(invocation.interface, of: container, to: network.name)
    do throws(CNIError) {
      let options = EndpointOptions(
        addresses: runtime.addresses, macAddress: runtime.macAddress, aliases: runtime.aliases, interface: interface)
      let endpoint = try await attach(options, runtime.ports, to: network, namespace)
      do throws(CNIError) {
        try await addRoutes(fields.routes, by: endpoint, in: namespace)
        return try await calling { () throws(NetworkError) in
          try AddResult(endpoint, on: network, fields, runtime, configuration, invocation, controller.host).json
        }
      } catch {
        try await remove(container, invocation.interface)
        throw error
      }
    } catch {
      if isNew { attachments.remove(invocation.interface, of: container, from: network.name) }
      throw error
    }
  }

  private func openNamespace() throws(CNIError) -> NetworkNamespace {
    do throws(NetworkError) { return try NetworkNamespace.open(at: FilePath(invocation.namespace)) } catch {
      throw CNIError(
        .namespace, "CNI_NETNS \(invocation.namespace) opens no network namespace: \(error.reason)",
        details: error.description)
    }
  }

  /// The network of that name, as the configuration has it. Several that make it at once get the same.
  private func ensureNetwork(_ fields: NetworkFields) async throws(CNIError) -> NetworkRecord {
    let name = configuration.name
    for _ in 0..<500 {
      if let network = try await network(name) {
        guard network.phase != .ready else {
          if try await isCurrent(network, fields) { return network }
          continue
        }
        // Somebody is at work on it.
        try? await Task.sleep(for: .milliseconds(20))
        continue
      }
      do throws(NetworkError) { return try await controller.createNetwork(name, options: fields.options) } catch {
        if error.code == .alreadyExists { continue }
        // Another call makes it at the same time, unless something else of it is in use.
        guard error.code == .inUse else { throw CNIError(error) }
        guard try await network(name) != nil else { throw CNIError(error) }
      }
    }
    throw CNIError(.tryAgain, "the network \"\(name)\" is being made or removed by another process; try again")
  }

  /// Whether a network that is there is as the configuration has it. One that this plugin made, of another configuration of
  /// the name, is removed if no container is on it.
  private func isCurrent(_ network: NetworkRecord, _ fields: NetworkFields) async throws(CNIError) -> Bool {
    let differences = fields.differences(from: network)
    guard !differences.isEmpty else { return true }
    let mismatch = CNIError(
      .invalidConfiguration,
      "the network \"\(network.name)\" is on record and differs: \(differences.joined(separator: ", ")); "
        + "remove it (cnet network rm \(network.name)), or give the configuration another name")
    guard network.labels[NetworkFields.label] != nil else { throw mismatch }
    do throws(NetworkError) { try await controller.removeNetwork(network.id) } catch {
      if error.code == .inUse { throw mismatch }
      if error.code != .notFound { throw CNIError(error) }
    }
    return false
  }

  private func network(_ name: String) async throws(CNIError) -> NetworkRecord? {
    do throws(NetworkError) { return try await controller.network(name) } catch {
      guard error.code == .notFound else { throw CNIError(error) }
      return nil
    }
  }

  /// On its first network a container is attached, on others connected.
  private func attach(
    _ options: EndpointOptions, _ ports: [PortMapping], to network: NetworkRecord, _ namespace: NetworkNamespace
  ) async throws(CNIError) -> Endpoint {
    let container = invocation.containerID
    let refusal: NetworkError
    do throws(NetworkError) { return try await attach(options, ports, network, namespace) } catch { refusal = error }
    guard refusal.code == .alreadyExists else { throw CNIError(refusal) }
    do throws(NetworkError) {
      let known = try await controller.sandbox(container)
      if known.namespace.identity == namespace.identity {
        guard let there = known.endpoints.first(where: { $0.networkID == network.id }) else {
          return try await connect(options, ports, network)
        }
        throw NetworkError(
          .alreadyExists, operation: "connect \"\(container)\" to \"\(network.name)\"",
          reason: "it is on that network already, as \(there.interface); a container has one interface on a network")
      }
    } catch {
      // Not the container is there, but the interface.
      if error.code == .notFound { throw CNIError(refusal) }
      guard error.code == .closed else { throw CNIError(error) }
    }
    // A runtime starts a container anew under its id: what is on record is of the namespace that it had before, for which
    // DEL was never called.
    return try await calling { () throws(NetworkError) in
      do throws(NetworkError) { try await controller.detach(container) } catch {
        if error.code != .notFound { throw error }
      }
      return try await attach(options, ports, network, namespace)
    }
  }

  private func attach(
    _ options: EndpointOptions, _ ports: [PortMapping], _ network: NetworkRecord, _ namespace: NetworkNamespace
  ) async throws(NetworkError) -> Endpoint {
    let sandbox = try await controller.attach(
      invocation.containerID, to: .network(network.name), options: AttachOptions(ports: ports, endpoint: options),
      namespace: namespace)
    return sandbox.endpoints[0]
  }

  private func connect(
    _ options: EndpointOptions, _ ports: [PortMapping], _ network: NetworkRecord
  ) async throws(NetworkError) -> Endpoint {
    let container = invocation.containerID
    let endpoint = try await controller.connect(container, to: network.name, options: options)
    do throws(NetworkError) {
      let ports = try await unpublished(ports, of: container)
      if !ports.isEmpty { try await controller.publish(ports, of: container, on: network.name) }
    } catch {
      var failure = error
      do throws(NetworkError) { try await controller.disconnect(container, from: network.name) } catch {
        failure.causes.append(error)
      }
      throw failure
    }
    return endpoint
  }

  private func addRoutes(
    _ routes: [(destination: Subnet, gateway: IPAddress?)], by endpoint: Endpoint, in namespace: NetworkNamespace
  ) async throws(CNIError) {
    guard !routes.isEmpty else { return }
    try await calling { () throws(NetworkError) in
      let link = try namespace.links.get(endpoint.interface.description).index
      for route in routes {
        let gateway = route.gateway ?? endpoint.gateways.first { $0.family == route.destination.family }
        try namespace.routes.add(Route(to: route.destination, via: gateway, link: link))
      }
    }
  }
}
