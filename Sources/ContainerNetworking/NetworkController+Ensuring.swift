public import NetworkPrimitives

/// Verbs for callers that do not know what is there: engines' adapters, and programs that start again.
extension NetworkController {
  /// The network of that name, created if there is none. Any number of calls and processes may make it at once.
  ///
  /// An existing network is compared with what the options would make. Options that leave a value to the controller, such
  /// as a missing subnet, match any.
  ///
  /// - Parameters:
  ///   - name: The network's full name; no id.
  ///   - options: As for ``createNetwork(_:options:)``.
  ///   - fields: The fields to compare; by default all.
  /// - Returns: The network, ready.
  /// - Throws: `.conflictingOptions` when it exists and differs, with every field in `NetworkError.differences`;
  ///   `.interrupted` after 30 seconds in which others make or remove it, and in a cancelled task that would wait;
  ///   else as ``createNetwork(_:options:)``.
  @discardableResult
  public func ensureNetwork(
    _ name: String, options: NetworkOptions = NetworkOptions(),
    comparing fields: Set<NetworkOptions.Field> = Set(NetworkOptions.Field.allCases)
  ) async throws(NetworkError) -> NetworkRecord {
    let operation = "use network \"\(name)\""
    let end = ContinuousClock.now + .seconds(30)
    repeat {
      let known = try await looking { (engine) throws(NetworkError) in try engine.settledNetwork(named: name) }
      if let known {
        if known.phase == .ready {
          let differences = options.differences(from: known, in: fields)
          guard !differences.isEmpty else { return known }
          throw NetworkError(
            .conflictingOptions, operation: operation,
            reason: "it is on record and differs: \(differences.map(\.description).joined(separator: ", ")); "
              + "remove it (cnet network rm \(name)), or choose another name",
            differences: differences)
        }
        do { try await Task.sleep(for: .milliseconds(20)) } catch { break }
        continue
      }
      do throws(NetworkError) { return try await createNetwork(name, options: options) } catch {
        // Another call may make it at the same time.
        guard error.code == .alreadyExists || error.code == .inUse else { throw error }
        let isThere = try await looking { (engine) throws(NetworkError) in
          try engine.settledNetwork(named: name) != nil
        }
        if !isThere { throw error }
      }
    } while ContinuousClock.now < end
    throw NetworkError(
      .interrupted, operation: operation, reason: "it is being made or removed by another process; try again")
  }

  /// Removes a container, or its endpoints on some networks, if they exist. A container without further endpoints is
  /// detached.
  ///
  /// - Parameters:
  ///   - container: The container; stopped ones and those without a namespace too.
  ///   - networks: The networks to leave, by name or id; nil for all. An unknown one is skipped.
  ///   - interface: The interface to remove; nil for any.
  /// - Returns: Whether there was anything to remove.
  /// - Throws: As ``detach(_:)`` and ``disconnect(_:from:isForced:keepsSettings:)``, except `.notFound`.
  @discardableResult
  public func ensureDetached(
    _ container: String, from networks: [String]? = nil, interface: InterfaceName? = nil
  ) async throws(NetworkError) -> Bool {
    try await perform(.detach, container, networks?.joined(separator: " ")) { (engine) throws(NetworkError) in
      try engine.ensureDetached(container, from: networks, interface: interface)
    }
  }

  /// Removes every attachment that matches a filter and is not listed: what an engine has forgotten. A failure does not
  /// stop the removal of others.
  ///
  /// A container loses the endpoints that are not listed, and is detached with the last. Stopped containers lose their
  /// addresses too. Containers without an endpoint of their own, as in host, none and container mode, are removed only by a
  /// filter without criteria. Containers that other calls are changing stay, and so do ready sandboxes.
  ///
  /// - Parameters:
  ///   - kept: The attachments to keep.
  ///   - filter: The endpoints in question; by default all.
  /// - Returns: What was removed, and what failed.
  /// - Throws: When the store could not be read.
  @discardableResult
  public func keepOnly(
    _ kept: some Sequence<AttachedInterface>, matching filter: EndpointFilter = EndpointFilter()
  ) async throws(NetworkError) -> CollectionReport {
    let kept = Set(kept)
    return try await perform(.keepOnly) { (engine) throws(NetworkError) in try engine.keepOnly(kept, filter) }
  }

  /// Removes every container that matches a filter and is not listed, as ``keepOnly(_:matching:)`` does.
  @discardableResult
  public func keepOnly(
    containers: some Sequence<String>, matching filter: EndpointFilter = EndpointFilter()
  ) async throws(NetworkError) -> CollectionReport {
    try await keepOnly(containers.map { AttachedInterface($0) }, matching: filter)
  }

  /// One container's part of ``differences()``: the container, its endpoints, its networks, and their elements of our
  /// firewall tables. Takes a few requests for each endpoint, whatever else is on the host. Changes nothing.
  ///
  /// - Throws: `.notFound` for a container that is not attached; when the kernel or the store could not be read.
  public func check(container: String) async throws(NetworkError) -> [Difference] {
    try await looking { (engine) throws(NetworkError) in try engine.differences(of: container) }
  }
}
