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

  /// The network of that name, as the configuration has it. Several that make it at once get the same.
  ///
  /// - Throws: `.conflictingOptions` when it is there and differs; `.interrupted` while others are at work on it.
  package func ensureNetwork(_ name: String, _ wish: NetworkWish) async throws(NetworkError) -> NetworkRecord {
    for _ in 0..<500 {
      if let network = try await network(name) {
        guard network.phase != .ready else {
          if try await isCurrent(network, wish) { return network }
          continue
        }
        // Somebody is at work on it.
        try? await Task.sleep(for: .milliseconds(20))
        continue
      }
      do throws(NetworkError) { return try await controller.createNetwork(name, options: wish.options) } catch {
        if error.code == .alreadyExists { continue }
        // Another call makes it at the same time, unless something else of it is in use.
        guard error.code == .inUse else { throw error }
        guard try await network(name) != nil else { throw error }
      }
    }
    throw NetworkError(
      .interrupted, operation: "use network \"\(name)\"",
      reason: "it is being made or removed by another process; try again")
  }

  /// Whether a network that is there is as the configuration has it. One that this program made, of another configuration of
  /// the name, is removed if no container is on it.
  private func isCurrent(_ network: NetworkRecord, _ wish: NetworkWish) async throws(NetworkError) -> Bool {
    let differences = wish.differences(from: network)
    guard !differences.isEmpty else { return true }
    let mismatch = NetworkError(
      .conflictingOptions, operation: "use network \"\(network.name)\"",
      reason: "it is on record and differs: \(differences.joined(separator: ", ")); "
        + "remove it (cnet network rm \(network.name)), or give the configuration another name")
    guard network.labels[label] != nil else { throw mismatch }
    do throws(NetworkError) { try await controller.removeNetwork(network.id) } catch {
      if error.code == .inUse { throw mismatch }
      try error.rethrow(unless: .notFound)
    }
    return false
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
    do throws(NetworkError) { try await controller.detach(container) } catch { try error.rethrow(unless: .notFound) }
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

  /// Takes a container off networks, and off the record with its last one. What is gone already is what was wanted.
  ///
  /// - Parameters:
  ///   - container: The container.
  ///   - networks: Their names.
  ///   - interface: The interface that it is to have there; nil for any.
  package func remove(
    _ container: String, from networks: [String], interface: String? = nil
  ) async throws(NetworkError) {
    do throws(NetworkError) {
      let endpoints: [Endpoint]
      do throws(NetworkError) { endpoints = try await controller.sandbox(container).endpoints } catch {
        // Its namespace is gone, and every interface with it; or it was there before the machine was started.
        try error.rethrow(unless: .closed, .notFound)
        return try await controller.detach(container)
      }
      let leaving = endpoints.filter { endpoint in
        networks.contains(endpoint.networkName) && (interface.map { $0 == endpoint.interface.description } ?? true)
      }
      if leaving.count == endpoints.count { return try await controller.detach(container) }
      for endpoint in leaving { try await controller.disconnect(container, from: endpoint.networkID, isForced: true) }
    } catch { try error.rethrow(unless: .notFound) }
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
