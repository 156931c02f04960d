package import ContainerNetworking
import FoundationEssentials

/// The record as a program on behalf of an engine uses it: networks are made when a container first needs them, and a
/// container is known by the engine's id.
package struct EngineRecord: Sendable {
  package let controller: NetworkController
  /// The label of networks that the program has made.
  package let label: String

  package init(_ controller: NetworkController, label: String) {
    self.controller = controller
    self.label = label
  }

  // MARK: - Networks

  /// The network of that name, as the configuration has it. One that this program made, of another configuration of the
  /// name, is made anew if no container is on it.
  ///
  /// - Throws: As ``NetworkController/ensureNetwork(_:options:comparing:)``.
  package func ensureNetwork(_ name: String, _ wish: NetworkWish) async throws(NetworkError) -> NetworkRecord {
    var attempt = 0
    while true {
      attempt += 1
      do throws(NetworkError) {
        return try await controller.ensureNetwork(name, options: wish.options, comparing: wish.said)
      } catch {
        guard !error.differences.isEmpty, attempt < 20, let network = try await network(name),
          network.name == name, network.labels[label] != nil
        else { throw error }
        let mismatch = error
        do throws(NetworkError) { try await controller.removeNetwork(network.id) } catch {
          if error.code == .inUse { throw mismatch }
          try error.rethrow(unless: .notFound)
        }
      }
    }
  }

  /// The network; nil where there is none.
  package func network(_ name: String) async throws(NetworkError) -> NetworkRecord? {
    do throws(NetworkError) { return try await controller.network(name) } catch {
      try error.rethrow(unless: .notFound)
      return nil
    }
  }

  // MARK: - Containers

  /// Puts a container on a network: on its first it is attached, on others connected.
  package func attach(
    _ container: String, _ options: AttachOptions, to network: NetworkRecord, _ namespace: NetworkNamespace
  ) async throws(NetworkError) -> Endpoint {
    let refusal: NetworkError
    do throws(NetworkError) { return try await attachFirst(container, options, network, namespace) } catch {
      refusal = error
    }
    guard refusal.code == .alreadyExists else { throw refusal }
    do throws(NetworkError) {
      let known = try await controller.sandbox(container)
      if known.namespace.identity == namespace.identity {
        guard let there = known.endpoints.first(where: { $0.networkID == network.id }) else {
          return try await connect(container, options, network)
        }
        throw NetworkError(
          .alreadyExists, operation: "connect \"\(container)\" to \"\(network.name)\"",
          reason: "it is on that network already, as \(there.interface); a container has one interface on a network")
      }
    } catch {
      // Not the container is there, but the interface.
      if error.code == .notFound { throw refusal }
      try error.rethrow(unless: .closed)
    }
    // A runtime starts a container anew under its id: what is on record is of the namespace that it had before, which was
    // never said to be gone.
    try await controller.ensureDetached(container)
    return try await attachFirst(container, options, network, namespace)
  }

  private func attachFirst(
    _ container: String, _ options: AttachOptions, _ network: NetworkRecord, _ namespace: NetworkNamespace
  ) async throws(NetworkError) -> Endpoint {
    try await controller.attach(container, to: .network(network.name), options: options, namespace: namespace)
      .endpoints[0]
  }

  private func connect(
    _ container: String, _ options: AttachOptions, _ network: NetworkRecord
  ) async throws(NetworkError) -> Endpoint {
    let endpoint = try await controller.connect(container, to: network.name, options: options.endpoint)
    do throws(NetworkError) {
      let ports = try await unpublished(options.ports, of: container, besides: network.name)
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

  /// Without those that the container has published by another of its networks: a runtime says all of a container's ports
  /// for each network.
  package func unpublished(
    _ ports: [PortMapping], of container: String, besides network: String
  ) async throws(NetworkError) -> [PortMapping] {
    guard !ports.isEmpty else { return [] }
    let published = try await controller.sandbox(container).endpoints.filter { $0.networkName != network }
      .flatMap(\.ports)
    return ports.filter { mapping in
      !published.contains { port in
        mapping.transport == port.transport && mapping.containerPorts.contains(port.containerPort)
          && mapping.hostPorts?.contains(port.hostPort) == true
      }
    }
  }

  /// Adds routes besides the default one.
  package func addRoutes(
    _ routes: [(destination: Subnet, gateway: IPAddress?)], by endpoint: Endpoint, in namespace: NetworkNamespace
  ) throws(NetworkError) {
    guard !routes.isEmpty else { return }
    let link = try namespace.links.get(endpoint.interface.description).index
    for route in routes {
      let gateway =
        route.gateway ?? endpoint.gateways.first { $0.family == route.destination.family && !$0.isUnspecified }
      try namespace.routes.add(Route(to: route.destination, via: gateway, link: link))
    }
  }
}
