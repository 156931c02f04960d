import NetworkPrimitives
import Synchronization

extension Engine {
  func attach(
    _ container: String, to mode: NetworkMode, options: AttachOptions, namespace: NetworkNamespace?
  ) throws(NetworkError) -> Sandbox {
    let operation = "attach \"\(container)\" to \(mode)"
    try Name.check(container, what: "container", operation: operation)
    try checkConflicts(mode, options, container: container, givenNamespace: namespace != nil, operation: operation)

    return try state.withLock { (state) throws(NetworkError) in
      guard state.members[container] == nil else {
        throw NetworkError(
          .alreadyExists, operation: operation, reason: "\"\(container)\" is attached already; detach it first")
      }
      switch mode {
      case .host:
        return try join(Group(namespace: host, endpoints: [], members: []), container, mode, options, &state)
      case .none:
        let own = if let namespace { namespace } else { try NetworkNamespace.create(on: host.kernel) }
        return try join(Group(namespace: own, endpoints: [], members: []), container, mode, options, &state)
      case .container(let donor):
        guard let index = state.members[donor]?.group, let group = state.groups[index] else {
          throw NetworkError(
            .notFound, operation: operation, reason: "the donor \"\(donor)\" is not running; attach it first")
        }
        return try join(group, at: index, container, mode, options, &state)
      case .bridge, .network:
        // A failure leaves the state as it was; what is in the kernel is taken back by the notes.
        var next = state
        let sandbox = try Undo.guarding(operation) { (undo) throws(NetworkError) in
          let network = try networkForAttach(mode, &next, &undo)
          let own = if let namespace { namespace } else { try NetworkNamespace.create(on: host.kernel) }
          let interface = namespace == nil ? try InterfaceName("eth0") : try freeInterface(in: own)
          let endpoint = try connect(container, own, interface, to: network, options, &next, &undo)
          return try join(Group(namespace: own, endpoints: [endpoint], members: []), container, mode, options, &next)
        }
        state = next
        return sandbox
      }
    }
  }

  func detach(_ container: String) throws(NetworkError) {
    let failures = try state.withLock { (state) throws(NetworkError) -> [NetworkError] in
      guard let member = state.members[container], var group = state.groups[member.group] else {
        throw NetworkError(
          .notFound, operation: "detach \"\(container)\"", reason: "\"\(container)\" is not attached")
      }
      var failures: [NetworkError] = []
      do throws(NetworkError) { try store.removeSandbox(container: container) } catch { failures.append(error) }
      state.members[container] = nil
      group.members.remove(container)
      if group.members.isEmpty {
        state.groups[member.group] = nil
        for endpoint in group.endpoints.reversed() { failures += disconnect(endpoint, &state) }
      } else {
        state.groups[member.group] = group
      }
      return failures
    }
    guard failures.isEmpty else {
      throw NetworkError(
        failures[0].code, operation: "detach \"\(container)\"",
        reason: "\(failures.count) things could not be taken away", causes: failures)
    }
  }

  private func checkConflicts(
    _ mode: NetworkMode, _ options: AttachOptions, container: String, givenNamespace: Bool, operation: String
  ) throws(NetworkError) {
    var conflicts = mode.conflicts(with: options, container: container)
    switch mode {
    case .host, .container:
      if givenNamespace {
        conflicts.append(
          NetworkError(
            .conflictingOptions, operation: operation,
            reason: "a namespace of the container's own cannot be combined with mode \"\(mode)\", which has one"))
      }
    case .none, .bridge, .network: break
    }
    guard let first = conflicts.first else { return }
    throw conflicts.count == 1
      ? first
      : NetworkError(
        .conflictingOptions, operation: operation, reason: "\(conflicts.count) options conflict", causes: conflicts)
  }

  /// Records the container as a member of the group; the last step of every attach.
  private func join(
    _ group: Group, at index: Int? = nil, _ container: String, _ mode: NetworkMode, _ options: AttachOptions,
    _ state: inout State
  ) throws(NetworkError) -> Sandbox {
    let isDiscarding = mode == .host || mode == .none
    let warnings = isDiscarding ? options.ports.map { AttachWarning.portDiscarded($0, mode) } : []
    let isSharer = index != nil
    try store.save(
      SandboxRecord(container: container, mode: mode, endpoints: isSharer ? [] : group.endpoints))
    var group = group
    group.members.insert(container)
    if index == nil { state.lastGroup += 1 }
    let index = index ?? state.lastGroup
    state.groups[index] = group
    state.members[container] = Member(mode: mode, group: index, warnings: warnings)
    return try state.sandbox(container)
  }

  /// The network of a mode; the default one is made at its first use.
  private func networkForAttach(
    _ mode: NetworkMode, _ state: inout State, _ undo: inout Undo
  ) throws(NetworkError) -> Network {
    guard case .network(let name) = mode else {
      if let network = state.networks.values.first(where: { $0.record.name == "bridge" }) { return network }
      return try addNetwork(
        "bridge", NetworkOptions(bridge: try InterfaceName(settings.defaultBridge)), &state, &undo)
    }
    return try state.network(name)
  }
}
