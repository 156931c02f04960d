import AdapterSupport
import ContainerNetworking

extension Plugin {
  /// Detaches the container from the network; a missing one is a success.
  func delete() async throws(CNIError) -> JSON? {
    try await remove(invocation.containerID, invocation.interface)
    return nil
  }

  /// Disconnects an interface of a container, and detaches the container with its last one.
  func remove(_ container: String, _ interface: String) async throws(CNIError) {
    // A runtime may say DEL of a name that the container never had here.
    _ = try await calling { () throws(NetworkError) in
      try await controller.ensureDetached(
        container, from: [configuration.name], interface: try InterfaceName(interface))
    }
  }

  /// Removes all of this plugin's attachments to the network, except those that the runtime lists as valid.
  func collectGarbage() async throws(CNIError) -> JSON? {
    let valid = configuration.json["cni.dev/valid-attachments"] ?? configuration.json["cni.dev/attachments"]
    guard let valid = valid?.list else {
      throw CNIError(
        .invalidConfiguration, "cni.dev/valid-attachments: it is missing; without it every attachment would be removed")
    }
    var kept: [AttachedInterface] = []
    for attachment in valid {
      guard let container = attachment["containerID"]?.text, let interface = attachment["ifname"]?.text else {
        throw CNIError(
          .invalidConfiguration, "cni.dev/valid-attachments: each is an object with containerID and ifname")
      }
      kept.append(
        AttachedInterface(container, try await calling { () throws(NetworkError) in try InterfaceName(interface) }))
    }
    let (attachments, filter) = (kept, EndpointFilter(networks: [configuration.name], labels: Self.labels))
    let report = try await calling { () throws(NetworkError) in
      try await controller.keepOnly(attachments, matching: filter)
    }
    guard let first = report.failures.first.map({ CNIError($0) }) else { return nil }
    throw CNIError(
      first.code, "\(report.failures.count) attachments cannot be taken away: \(first.message)",
      details: report.failures.map(\.description).joined(separator: "\n"))
  }

  /// The labels of this plugin's endpoints; GC removes those alone.
  static let labels = [NetworkFields.label: "true"]
}
