import AdapterSupport
import ContainerNetworking

extension Plugin {
  /// Detaches the container from the network; a missing one is a success.
  func delete() async throws(CNIError) -> JSON? {
    try await remove(invocation.containerID, invocation.interface)
    attachments.remove(configuration.name, invocation.containerID, invocation.interface)
    return nil
  }

  /// Disconnects an interface of a container, and detaches the container with its last one.
  func remove(_ container: String, _ interface: String) async throws(CNIError) {
    // A runtime may say DEL of a name that the container never had here.
    try await calling { () throws(NetworkError) in
      try await record.remove(container, from: [configuration.name], interface: interface)
    }
  }

  /// Removes all of this plugin's attachments to the network, except those that the runtime lists as valid.
  func collectGarbage() async throws(CNIError) -> JSON? {
    let valid = configuration.json["cni.dev/valid-attachments"] ?? configuration.json["cni.dev/attachments"]
    guard let valid = valid?.list else {
      throw CNIError(
        .invalidConfiguration, "cni.dev/valid-attachments: it is missing; without it every attachment would be removed")
    }
    var kept: Set<[String]> = []
    for attachment in valid {
      guard let container = attachment["containerID"]?.text, let interface = attachment["ifname"]?.text else {
        throw CNIError(
          .invalidConfiguration, "cni.dev/valid-attachments: each is an object with containerID and ifname")
      }
      kept.insert([container, interface])
    }
    var failures: [CNIError] = []
    let attached = try await calling { () throws(NetworkError) in try attachments.list(on: configuration.name) }
    for (container, interface) in attached
    where !kept.contains([container, interface]) {
      do throws(CNIError) {
        try await remove(container, interface)
        attachments.remove(configuration.name, container, interface)
      } catch { failures.append(error) }
    }
    guard let first = failures.first else { return nil }
    throw CNIError(
      first.code, "\(failures.count) attachments cannot be taken away: \(first.message)",
      details: failures.map { $0.details.isEmpty ? $0.message : $0.details }.joined(separator: "\n"))
  }
}
