import AdapterSupport
import ContainerNetworking
import SystemPackage

extension Plugin {
  /// Compares ADD's result with the record, and the record with the kernel.
  func check() async throws(CNIError) -> JSON? {
    guard let previous = configuration.previous else {
      throw CNIError(.invalidConfiguration, "prevResult: it is missing; CHECK compares with what ADD answered")
    }
    let container = invocation.containerID
    let endpoint = try await known(container)
    let given = try await calling { () throws(NetworkError) in
      try NetworkNamespace.open(at: FilePath(invocation.namespace)).identity
    }
    let own = try await calling { () throws(NetworkError) in try await controller.sandbox(container).namespace.identity
    }
    guard given == own else {
      throw CNIError(.differs, "\(invocation.namespace) is not the namespace that \(container) was added with")
    }
    if configuration.kind == .portmap {
      let wanted = try RuntimeConfiguration(configuration, invocation.arguments).ports
      for mapping in wanted where !endpoint.ports.contains(where: { mapping.containerPorts.contains($0.containerPort) })
      {
        throw CNIError(.differs, "port \(mapping.containerPorts)/\(mapping.transport) of \(container) is not published")
      }
      return nil
    }
    let interfaces = previous["interfaces"]?.list ?? []
    let answered = (previous["ips"]?.list ?? []).filter { ip in
      guard let index = ip["interface"]?.number, interfaces.indices.contains(index) else { return false }
      return interfaces[index]["name"]?.text == invocation.interface && interfaces[index]["sandbox"] != nil
    }.compactMap { $0["address"]?.text }
    let recorded = endpoint.addresses.map(\.description)
    guard Set(answered) == Set(recorded) else {
      throw CNIError(
        .differs,
        "\(invocation.interface) of \(container) has \(recorded.joined(separator: ", ")) on record, and ADD answered "
          + (answered.isEmpty ? "no address" : answered.joined(separator: ", ")))
    }
    // Of another of its networks, that one's CHECK tells.
    let differences = try await calling { () throws(NetworkError) in try await controller.check(container: container) }
      .filter { $0.network.isEmpty || $0.network == configuration.name }
    guard differences.isEmpty else {
      throw CNIError(
        .differs, "\(container) is not as it was added: \(differences.map(\.description).joined(separator: "; "))",
        details: differences.map(\.remedy).joined(separator: "\n"))
    }
    return nil
  }

  /// A container's endpoint on this network.
  private func known(_ container: String) async throws(CNIError) -> Endpoint {
    var endpoints: [Endpoint] = []
    do throws(NetworkError) { endpoints = try await controller.inspect(configuration.name).endpoints } catch {
      if error.code != .notFound { throw CNIError(error) }
    }
    let own = endpoints.first { $0.container == container }
    guard let own, own.interface.description == invocation.interface else {
      throw CNIError(
        .unknownContainer,
        "\(container) has no interface \(invocation.interface) on the network \"\(configuration.name)\"; ADD comes first"
      )
    }
    return own
  }
}
