import AdapterSupport
import ContainerNetworking
import SystemPackage

extension Plugin {
  /// Attaches the container to the network, which is created on demand.
  func add() async throws(CNIError) -> JSON {
    let fields = try NetworkFields(configuration)
    let runtime = try RuntimeConfiguration(configuration, invocation.arguments)
    let namespace = try openNamespace()
    let interface = try await calling { () throws(NetworkError) in try InterfaceName(invocation.interface) }
    let network = try await calling { () throws(NetworkError) in
      try await record.ensureNetwork(configuration.name, fields.wish)
    }
    let container = invocation.containerID
    let options = EndpointOptions(
      addresses: runtime.addresses, macAddress: runtime.macAddress, aliases: runtime.aliases, interface: interface,
      labels: Self.labels)
    let endpoint = try await calling { () throws(NetworkError) in
      try await record.attach(
        container, AttachOptions(ports: runtime.ports, endpoint: options), to: network, namespace)
    }
    do throws(CNIError) {
      try await calling { () throws(NetworkError) in
        try record.addRoutes(fields.wish.routes, by: endpoint, in: namespace)
      }
      return try await calling { () throws(NetworkError) in
        try AddResult(endpoint, on: network, fields, runtime, configuration, invocation, controller.host).json
      }
    } catch {
      try await remove(container, invocation.interface)
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
}
