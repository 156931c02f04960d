public import NetworkPrimitives

extension NetworkController {
  /// Publishes ports of a container that runs.
  ///
  /// - Parameters:
  ///   - ports: What to publish; what it has published already stays.
  ///   - container: The container.
  ///   - network: One of its networks, by name, id or unique id prefix; nil for the one that has its default route.
  /// - Returns: What they have become, in the order that they were placed in.
  /// - Throws: `.notFound`; `.inUse` for a port of another's; `.exhausted` when every ephemeral port is taken;
  ///   `.conflictingOptions` for a container in host, none or container mode, for a network that publishes nothing, and for a
  ///   host address that nothing serves; `.unsupported` for a protocol that the kernel has not; the kernel's refusals.
  @discardableResult
  public func publish(
    _ ports: [PortMapping], of container: String, on network: String? = nil
  ) async throws(NetworkError) -> [PublishedPort] {
    try await perform(.publish, container, network) { (engine) throws(NetworkError) in
      try engine.publish(ports, of: container, on: network)
    }
  }

  /// Releases published ports of a container that runs. Connections by TCP that are under way go on until they end.
  ///
  /// - Parameters:
  ///   - ports: What is meant: each means every port that it could have become, so that `80` is the container's port 80
  ///     whatever the host's, and `8080:80` that one alone. Nil for all.
  ///   - container: The container.
  ///   - network: As for ``publish(_:of:on:)``.
  /// - Returns: What was released.
  /// - Throws: `.notFound`, also for one that means none; `.inUse` while others change them; everything that could not be
  ///   taken away: to release them again goes on with that.
  @discardableResult
  public func unpublish(
    _ ports: [PortMapping]? = nil, of container: String, on network: String? = nil
  ) async throws(NetworkError) -> [PublishedPort] {
    try await perform(.unpublish, container, network) { (engine) throws(NetworkError) in
      try engine.unpublish(ports, of: container, on: network)
    }
  }

  /// How many sockets this controller holds published ports by; see ``ControllerSettings/reservesPorts``.
  public var reservedPortCount: Int { engine.keeper?.count ?? 0 }
}
