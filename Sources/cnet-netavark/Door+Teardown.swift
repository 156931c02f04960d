import AdapterSupport
import ContainerNetworking

extension Door {
  /// Takes a container off networks. A missing endpoint is no failure; every step is tried.
  func tearDown(_ request: Request) async throws(NetworkError) {
    let names = request.attachments.map(\.network.name)
    try await takeOff(request, from: names, Set(names))
  }

  /// - Parameters:
  ///   - networks: What the container leaves.
  ///   - used: What goes, if podman has made it and nobody is left on it.
  func takeOff(
    _ request: Request, from networks: [String], _ used: Set<String>
  ) async throws(NetworkError) {
    var failures: [NetworkError] = []
    if !networks.isEmpty {
      do throws(NetworkError) {
        try await controller.ensureDetached(request.containerID, from: networks)
        try await publishElsewhere(request)
      } catch { failures.append(error) }
    }
    for name in used.sorted() {
      do throws(NetworkError) {
        guard let network = try await record.network(name), network.labels[NetworkConfiguration.label] != nil else {
          continue
        }
        try await removeIfUnused(network)
      } catch { if error.code != .notFound { failures.append(error) } }
    }
    if !failures.isEmpty {
      throw NetworkError(faults: failures, operation: "take \"\(request.containerID)\" off its networks")
    }
  }

  private func removeIfUnused(_ network: NetworkRecord) async throws(NetworkError) {
    do throws(NetworkError) { return try await controller.removeNetwork(network.id) } catch {
      // Others are on it, or at work on it.
      try error.rethrow(unless: .inUse)
    }
    // Or have only kept their addresses since the machine was started: podman says them anew.
    let endpoints = try await controller.inspect(network.id).endpoints
    guard !endpoints.isEmpty, endpoints.allSatisfy({ $0.phase == .stopped }) else { return }
    do throws(NetworkError) {
      for endpoint in endpoints { try await controller.ensureDetached(endpoint.container) }
      try await controller.removeNetwork(network.id)
    } catch { try error.rethrow(unless: .inUse) }
  }

  /// Ports that were published by a network that the container has left are published by another of its own.
  private func publishElsewhere(_ request: Request) async throws(NetworkError) {
    guard !request.ports.isEmpty else { return }
    do throws(NetworkError) {
      let endpoints = try await controller.sandbox(request.containerID).endpoints
      for endpoint in endpoints {
        guard let network = try await record.network(endpoint.networkID), network.driver == .bridge, !network.isInternal
        else { continue }
        let ports = try await record.unpublished(request.ports, of: request.containerID, besides: "")
        if !ports.isEmpty { try await controller.publish(ports, of: request.containerID, on: network.id) }
        return
      }
    } catch { try error.rethrow(unless: .notFound, .closed) }
  }
}
