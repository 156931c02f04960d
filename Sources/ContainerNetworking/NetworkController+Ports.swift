public import NetworkPrimitives

extension NetworkController {
  /// Publishes ports of a running container.
  ///
  /// - Parameters:
  ///   - ports: The ports to publish; ports published before stay.
  ///   - container: The container.
  ///   - network: One of its networks, by name, id or unique id prefix; nil for the network of its default route.
  /// - Returns: The published ports, in the order of their placement.
  /// - Throws: `.notFound`; `.inUse` for another owner's port; `.exhausted` when every ephemeral port is taken;
  ///   `.conflictingOptions` for a container in host, none or container mode, for a network that publishes nothing, and
  ///   for a host address that nothing serves; `.unsupported` for a protocol that the kernel lacks; the kernel's
  ///   refusals.
  @discardableResult
  public func publish(
    _ ports: [PortMapping], of container: String, on network: String? = nil
  ) async throws(NetworkError) -> [PublishedPort] {
    try await perform(.publish, container, network) { (engine) throws(NetworkError) in
      try engine.publish(ports, of: container, on: network)
    }
  }

  /// Releases published ports of a running container. Established TCP connections continue until they end.
  ///
  /// - Parameters:
  ///   - ports: The ports to release. Each mapping matches every port that it could have produced: `80` matches the
  ///     container's port 80 on any port of the host, `8080:80` only that one. Nil for all.
  ///   - container: The container.
  ///   - network: As for ``publish(_:of:on:)``.
  /// - Returns: What was released.
  /// - Throws: `.notFound`, also for a mapping without a match; `.inUse` while another call changes them; everything
  ///   that could not be removed. A repeated call continues the removal.
  @discardableResult
  public func unpublish(
    _ ports: [PortMapping]? = nil, of container: String, on network: String? = nil
  ) async throws(NetworkError) -> [PublishedPort] {
    try await perform(.unpublish, container, network) { (engine) throws(NetworkError) in
      try engine.unpublish(ports, of: container, on: network)
    }
  }

  /// The number of sockets that reserve published ports; see ``ControllerSettings/reservesPorts``.
  public var reservedPortCount: Int { engine.keeper?.count ?? 0 }
}
