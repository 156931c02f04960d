public import NetworkPrimitives

/// Endpoints of an engine that makes its containers' namespaces itself, and moves links into them, as Docker does.
///
/// An endpoint has a name in place of a container's, unique among both. It is created, joined, left and deleted:
///
///     let endpoint = try await controller.createEndpoint("e1", on: "blue", options: EndpointOptions(addresses: [address]))
///     let link = try await controller.joinEndpoint("e1").interface   // the engine moves it, and names it eth0
///     try await controller.leaveEndpoint("e1")
///     try await controller.deleteEndpoint("e1")
///
/// Between join and leave it is published and released by ``publish(_:of:on:)`` and ``unpublish(_:of:on:)``. It has no
/// ``Sandbox``: its namespace is the engine's.
extension NetworkController {
  /// Claims addresses, a MAC address and ports on a bridge network. No link exists yet, and the kernel is not changed.
  /// The claim lasts until ``deleteEndpoint(_:)``, also through a start of the machine.
  ///
  /// - Parameters:
  ///   - name: The endpoint's name.
  ///   - network: The network, by name, id or unique id prefix.
  ///   - options: Addresses that the engine has chosen, or none for the network's next; the rest as for
  ///     ``connect(_:to:options:)``. Without an interface, which the engine names.
  ///   - ports: Ports to publish when it is joined.
  /// - Returns: The endpoint, in the phase ``Phase/stopped``.
  /// - Throws: `.alreadyExists` for a name in use; `.unsupported` for the default network, and for one without a bridge;
  ///   `.conflictingOptions` for an interface, and for ports on an internal network; else as
  ///   ``attach(_:to:options:namespace:)``.
  @discardableResult
  public func createEndpoint(
    _ name: String, on network: String, options: EndpointOptions = EndpointOptions(), ports: [PortMapping] = []
  ) async throws(NetworkError) -> Endpoint {
    try await perform(.createEndpoint, name, network) { (engine) throws(NetworkError) in
      try engine.createEndpoint(name, on: network, options: options, ports: ports)
    }
  }

  /// Creates the link of an endpoint, and publishes its ports.
  ///
  /// The host's end is a port of the network's bridge. The container's end is left in the host's namespace, down, with
  /// its MAC address and no others, for the engine to move, rename and configure. It is deleted with the namespace that
  /// it is in.
  ///
  /// - Parameter name: The endpoint's name.
  /// - Returns: The endpoint; its ``Endpoint/interface`` is the name of the link.
  /// - Throws: `.notFound` for an unknown endpoint; `.alreadyExists` for one that is joined; else as
  ///   ``attach(_:to:options:namespace:)``.
  @discardableResult
  public func joinEndpoint(_ name: String) async throws(NetworkError) -> Endpoint {
    try await perform(.joinEndpoint, name) { (engine) throws(NetworkError) in try engine.joinEndpoint(name) }
  }

  /// Deletes the link of an endpoint, wherever it is, and releases its ports on the host. Its claim stays.
  ///
  /// - Returns: Whether it was joined.
  /// - Throws: `.notFound` for an unknown endpoint; everything that could not be removed.
  @discardableResult
  public func leaveEndpoint(_ name: String) async throws(NetworkError) -> Bool {
    try await perform(.leaveEndpoint, name) { (engine) throws(NetworkError) in try engine.leaveEndpoint(name) }
  }

  /// Removes an endpoint, joined or not, and releases its addresses and ports.
  ///
  /// - Returns: Whether there was one.
  /// - Throws: `.refused` for a container that was attached; everything that could not be removed.
  @discardableResult
  public func deleteEndpoint(_ name: String) async throws(NetworkError) -> Bool {
    try await perform(.deleteEndpoint, name) { (engine) throws(NetworkError) in try engine.deleteEndpoint(name) }
  }
}
