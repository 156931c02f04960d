import AdapterSupport
import ContainerNetworking
import SystemPackage

/// This program's work as a later plugin of a list, for a container that it attached earlier.
extension Plugin {
  /// The earlier plugin's result, to be passed on.
  func previousResult() throws(CNIError) -> JSON {
    guard let previous = configuration.previous else {
      throw CNIError(
        .invalidConfiguration,
        "prevResult: it is missing; \(configuration.kind.rawValue) comes after a plugin that makes the interface")
    }
    return previous
  }

  /// Publishes the runtime's port mappings.
  func publish() async throws(CNIError) -> JSON {
    let previous = try previousResult()
    let runtime = try RuntimeConfiguration(configuration, invocation.arguments)
    guard !runtime.ports.isEmpty else { return previous }
    do throws(NetworkError) {
      let ports = try await record.unpublished(
        runtime.ports, of: invocation.containerID, besides: configuration.name)
      guard !ports.isEmpty else { return previous }
      try await controller.publish(ports, of: invocation.containerID, on: configuration.name)
    } catch {
      guard error.code == .notFound else { throw CNIError(error) }
      throw CNIError(
        .unknownContainer,
        "portmap publishes for containers of this record, and \(invocation.containerID) is not on "
          + "\"\(configuration.name)\"; let this program make the interface, too")
    }
    return previous
  }

  /// Releases the ports; with the endpoint they go anyhow.
  func unpublish() async throws(CNIError) -> JSON? {
    let ports = try RuntimeConfiguration(configuration, invocation.arguments).ports
    guard !ports.isEmpty else { return nil }
    do throws(NetworkError) {
      try await controller.unpublish(ports, of: invocation.containerID, on: configuration.name)
    } catch {
      // Released already, or gone with its namespace.
      guard error.code == .notFound || error.code == .closed else { throw CNIError(error) }
    }
    return nil
  }
}
