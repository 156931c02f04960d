import NetworkPrimitives
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

extension Engine {
  func attach(
    _ container: String, to mode: NetworkMode, options: AttachOptions, namespace: NetworkNamespace?
  ) throws(NetworkError) -> Sandbox {
    let operation = "attach \"\(container)\" to \(mode)"
    try Name.check(container, what: "container", operation: operation)
    try Self.check(options.ports)
    try
      (mode.conflicts(with: options, container: container, hasNamespace: namespace != nil)
      + options.names.faults(operation)).throwAny(operation)
    guard mode == .bridge else {
      try reclaim(container)
      return try attachPrepared(container, mode, options, namespace, operation)
    }
    for _ in 0..<100 {
      // Usually one read suffices: the container has no unfinished records, and the network exists.
      var known = try look { (state) throws(NetworkError) -> String? in
        guard state.unfinishedOwner(of: container) == nil else { return nil }
        try checkUnattached(container, operation, state)
        return state.readyDefaultNetwork
      }
      var made: NetworkRecord?
      if known == nil {
        try reclaim(container)
        // Checked before a network is created in vain.
        known = try look { (state) throws(NetworkError) in
          try checkUnattached(container, operation, state)
          return state.readyDefaultNetwork
        }
        made = try ensureDefaultNetwork()
      }
      do throws(NetworkError) {
        return try attachPrepared(container, mode, options, namespace, operation)
      } catch {
        if let made {
          // It was made for this container; other containers that use it meanwhile keep it.
          do throws(NetworkError) { try removeNetwork(id: made.id) } catch let leftover {
            if leftover.code != .inUse { throw undone(operation, error, leftovers: [leftover]) }
          }
          throw error
        }
        // Another attach may have made the network and removed it meanwhile: then it is made again.
        let isTheSame = try look { state in known != nil && state.readyDefaultNetwork == known }
        guard error.code == .notFound || error.code == .inUse, !isTheSame else { throw error }
      }
    }
    throw NetworkError(
      .inUse, operation: operation,
      reason: "the default network keeps being made and removed by other processes; try again")
  }

  private func attachPrepared(
    _ container: String, _ mode: NetworkMode, _ options: AttachOptions, _ namespace: NetworkNamespace?,
    _ operation: String
  ) throws(NetworkError) -> Sandbox {
    var request = EndpointRequest(
      container: container, options: options.endpoint, ports: options.ports, names: options.names)
    request.ephemeral = try ephemeralPorts(for: options.ports)
    do throws(NetworkError) { return try attach(request, mode, namespace, operation) } catch {
      // Out of addresses or ports: release the ready sandboxes and retry.
      if error.code == .exhausted, giveWay(on: mode) { return try attach(request, mode, namespace, operation) }
      // Lists a given namespace's links only after a conflict: most have only `lo`.
      guard let namespace, error.code == .alreadyExists, error.leftovers.isEmpty else { throw error }
      request.usedNames = try interfaceNames(in: namespace)
      guard request.usedNames.count > 1 else { throw error }
      return try attach(request, mode, namespace, operation)
    }
  }

  func attach(
    _ request: EndpointRequest, _ mode: NetworkMode, _ namespace: NetworkNamespace?, _ operation: String
  ) throws(NetworkError) -> Sandbox {
    if namespace == nil, let ready = try takeReady(for: request, mode) {
      return try handOver(ready, to: request, mode, operation)
    }
    // The namespace precedes the record, which then distinguishes its pin from others'. It ends with the process.
    let made: NetworkNamespace?
    do throws(NetworkError) {
      switch mode {
      case .host, .container: made = nil
      case .none, .bridge, .network: made = namespace == nil ? try NetworkNamespace.create(on: host.kernel) : nil
      }
    } catch { throw undone(operation, error, leftovers: []) }
    var planned = try planAlone(request, mode, given: namespace, made: made, operation)
    do throws(NetworkError) {
      if let endpoint = planned.endpoint, let network = planned.network {
        try settlePorts(of: &planned, endpoint, on: network, request)
      }
      return try make(planned, given: namespace, made: made)
    } catch {
      throw undone(operation, error, leftovers: abandon(planned, error.leftovers))
    }
  }

  private func planAlone(
    _ request: EndpointRequest, _ mode: NetworkMode, given: NetworkNamespace?, made: NetworkNamespace?,
    _ operation: String
  ) throws(NetworkError) -> PlannedSandbox {
    let planOnce = { [self] (request: EndpointRequest) throws(NetworkError) in
      try transaction { (transaction) throws(NetworkError) in
        try plan(request, mode, given: given, made: made, operation, &transaction)
      }
    }
    do throws(NetworkError) { return try planOnce(request) } catch {
      guard error.code == .inUse, let given else { throw error }
      var request = request
      request.departed = try departed(from: given)
      if request.departed.isEmpty { throw error }
      return try planOnce(request)
    }
  }

  /// Transfers a ready sandbox to the container.
  private func handOver(
    _ ready: ReadySandbox, to request: EndpointRequest, _ mode: NetworkMode, _ operation: String
  ) throws(NetworkError) -> Sandbox {
    var planned: PlannedSandbox
    do throws(NetworkError) {
      planned = try transaction { (transaction) throws(NetworkError) in
        try plan(request, mode, given: nil, made: ready.namespace, ready: ready, operation, &transaction)
      }
    } catch {
      giveBack(ready.name, to: ready.networkID)
      throw error
    }
    defer { refill(ready.networkID) }
    do throws(NetworkError) {
      guard let endpoint = planned.endpoint, let network = planned.network else {
        return try make(planned, given: nil, made: ready.namespace)
      }
      do throws(NetworkError) { try settlePorts(of: &planned, endpoint, on: network, request) } catch {
        throw error.with(leftovers: disconnect(endpoint, from: network, in: ready.namespace))
      }
      return try make(planned, given: nil, made: ready.namespace)
    } catch {
      let leftovers = abandon(planned, error.leftovers)
      if leftovers.isEmpty { namespaces.withLock { _ = $0.removeValue(forKey: planned.record.sandboxID) } }
      throw undone(operation, error, leftovers: leftovers)
    }
  }

  /// Replaces any of the endpoint's recorded ports that another process holds.
  func settlePorts(
    of planned: inout PlannedSandbox, _ endpoint: Endpoint, on network: NetworkRecord, _ request: EndpointRequest
  ) throws(NetworkError) {
    planned.endpoint?.ports = try settlePorts(endpoint.ports, of: endpoint, on: network, request) { transaction, next in
      var endpoint = endpoint
      endpoint.ports = next
      transaction.save(.endpoint(endpoint))
    }
  }

  /// A sandbox in the form in which it is recorded before it is created.
  struct PlannedSandbox {
    var record: SandboxRecord
    var endpoint: Endpoint?
    var network: NetworkRecord?
    /// The former record of a stopped container.
    var stopped: SandboxRecord?
    /// Its kept endpoints on the network.
    var kept: [Endpoint] = []
    /// Whether everything but its published ports exists.
    var isWired = false
  }

  func plan(
    _ request: EndpointRequest, _ mode: NetworkMode, given: NetworkNamespace?, made: NetworkNamespace?,
    ready: ReadySandbox? = nil, _ operation: String, _ transaction: inout Transaction
  ) throws(NetworkError) -> PlannedSandbox {
    let container = request.container
    try checkUnattached(container, operation, transaction.state)
    if let given { try checkIsNobodys(given, for: container, besides: request.departed, operation, &transaction) }
    let stopped = transaction.state.sandboxes[container].flatMap { $0.phase == .stopped ? $0 : nil }
    // A stopped container keeps its sandbox id, and so its kept endpoints on other networks.
    var record = SandboxRecord(
      container: container, mode: mode, sandboxID: stopped?.sandboxID ?? makeID(),
      namespacePath: given?.origin?.string,
      namespaceInode: (given ?? made)?.identity.inode, ownsNamespace: false, warnings: [], phase: .creating,
      owner: store.token)
    if stopped != nil { record.keepsAddresses = true }
    if request.names != NameOptions() { record.names = request.names }
    // A ready sandbox gets its name, files and pin with its container.
    let isKeptReady = Name.isOfReady(container)
    if !isKeptReady { record.filesDirectory = settings.filesDirectory?.appending(makeID()).string }
    var planned = PlannedSandbox(record: record, endpoint: nil, network: nil, stopped: stopped)
    switch mode {
    case .host:
      record.sandboxID = Self.hostSandbox
      record.warnings = request.ports.map { .portDiscarded($0, "host") }
    case .container(let donor):
      guard let other = transaction.state.sandboxes[donor], other.phase == .ready else {
        throw NetworkError(
          .notFound, operation: operation, reason: "the donor \"\(donor)\" is not running; attach it first")
      }
      record.sandboxID = other.sandboxID
      record.namespacePath = other.namespacePath
      record.namespaceInode = other.namespaceInode
      (record.namespaceCookie, record.viewpoint) = (other.namespaceCookie, other.viewpoint)
      record.ownsNamespace = other.ownsNamespace
      record.names = other.names
      record.filesDirectory = other.filesDirectory
    case .none: record.warnings = request.ports.map { .portDiscarded($0, "none") }
    case .bridge, .network:
      let network = try readyNetwork(mode == .bridge ? "bridge" : "\(mode)", operation, transaction.state)
      if network.isPredefined {
        try NetworkMode.bridge.conflicts(
          with: AttachOptions(endpoint: request.options), container: container, hasNamespace: false
        ).throwAny(operation)
      }
      try checkHostGateway(request.names, on: network, operation)
      var request = request
      if !publishesPorts(network) {
        record.warnings = request.ports.map { .portDiscarded($0, network.name) }
        request.ports = []
      }
      planned.network = network
      if let ready {
        let places = places(of: network, transaction.state)
        try check(request, on: network, places, operation)
        try namePortFaults(request.ports, of: network, operation, transaction.state).throwAny(operation)
        planned.endpoint = try transaction.handOver(
          ready, to: &record, request, on: network, places, owner: store.token, operation)
        planned.isWired = true
      } else {
        let made = try planEndpoint(request, record.sandboxID, network, &transaction)
        (planned.endpoint, planned.kept) = (made.endpoint, made.kept)
        if made.endpoint.bridge != nil { planned.network = transaction.state.networks[network.id] }
      }
    }
    if made != nil, !isKeptReady, let directory = settings.namespaceDirectory {
      record.namespacePath = pin(of: record, in: directory, transaction.state).string
      record.ownsNamespace = true
    }
    planned.record = record
    transaction.save(.sandbox(record))
    return planned
  }

  /// - Throws: `.conflictingOptions` if the host has no address that a container of the network can reach.
  private func checkHostGateway(
    _ names: NameOptions, on network: NetworkRecord, _ operation: String
  ) throws(NetworkError) {
    guard let host = names.extraHosts.first(where: { $0.address == nil }), settings.hostGateways.isEmpty,
      network.bridgeGateways.isEmpty
    else { return }
    throw NetworkError(
      .conflictingOptions, operation: operation,
      reason:
        "the host \"\(host)\" cannot be host-gateway on network \"\(network.name)\", where the host has no address; "
        + "write the address in its place")
  }

  /// The path of a new pin: the container's name, with a suffix if a former namespace of that name is still in use.
  private func pin(of record: SandboxRecord, in directory: FilePath, _ state: EngineState) -> FilePath {
    let path = directory.appending(record.container)
    return state.isPin(path.string) ? directory.appending("\(record.container)-\(makeID().prefix(12))") : path
  }

  func checkUnattached(
    _ container: String, _ operation: String, _ state: EngineState
  ) throws(NetworkError) {
    guard let known = state.sandboxes[container], known.phase != .stopped else { return }
    try checkIdle(known.phase, known.owner, "\"\(container)\"", operation)
    throw NetworkError(
      .alreadyExists, operation: operation, reason: "\"\(container)\" is attached already; detach it first")
  }

  /// Creates the planned sandbox, and records that it exists.
  ///
  /// - Throws: The failure, with objects that the undo could not remove as its leftovers.
  private func make(
    _ planned: PlannedSandbox, given: NetworkNamespace?, made: NetworkNamespace?
  ) throws(NetworkError) -> Sandbox {
    var planned = planned
    var connected: (Endpoint, NetworkRecord)?
    if planned.isWired, let endpoint = planned.endpoint, let network = planned.network {
      connected = (endpoint, network)
    }
    let namespace: NetworkNamespace
    do throws(NetworkError) { namespace = try enter(planned.record, given: given, made: made) } catch {
      guard let made, let (endpoint, network) = connected else { throw error }
      throw error.with(leftovers: disconnect(endpoint, from: network, in: made))
    }
    do throws(NetworkError) {
      if var endpoint = planned.endpoint, let network = planned.network {
        if planned.isWired {
          if passesHost(network) { bridges.uplinks.want(for: network) }
          var bare = endpoint
          bare.ports = []
          if !endpoint.ports.isEmpty { try publish(endpoint.ports, of: bare, on: network) }
        } else {
          defer { planned.endpoint = endpoint }
          try connect(&endpoint, to: network, in: namespace, routes: endpoint.gateways.map(\.family))
          connected = (endpoint, network)
        }
        if !planned.record.isKeptReady { try serveNames(of: network, for: planned.record, in: namespace) }
        try keeper?.begin(endpoint.ports, of: endpoint)
      }
      planned.record.warnings += try makeFiles(of: planned.record, planned.endpoint, on: planned.network)
      let (record, endpoints) = try finish(planned, namespace)
      if let endpoint = planned.endpoint { handOverPorts(of: endpoint) }
      namespaces.withLock { $0[record.sandboxID] = namespace }
      return Sandbox(record, endpoints, namespace)
    } catch {
      var leftovers = error.leftovers
      if let (endpoint, network) = connected {
        withdrawNames(of: planned.record, leaving: [endpoint])
        leftovers += disconnect(endpoint, from: network, in: namespace)
      }
      leftovers += leave(planned.record)
      throw error.withoutLeftovers.with(leftovers: leftovers)
    }
  }

  private func finish(
    _ planned: PlannedSandbox, _ namespace: NetworkNamespace
  ) throws(NetworkError) -> (SandboxRecord, [Endpoint]) {
    try transaction { (transaction) throws(NetworkError) in try finish(planned, namespace, &transaction) }
  }

  /// Records that a sandbox exists.
  func finish(
    _ planned: PlannedSandbox, _ namespace: NetworkNamespace, _ transaction: inout Transaction
  ) throws(NetworkError) -> (SandboxRecord, [Endpoint]) {
    var record = planned.record
    record.phase = .ready
    // The process that holds the namespace open, so that it counts as alive even where its path does not open it.
    record.owner = store.token
    record.namespaceInode = namespace.identity.inode
    if !record.isSharer { record.noteNamespace(namespace, seenFrom: viewpoint) }
    record.keepsAddresses = nil
    transaction.save(.sandbox(record))
    if let stopped = planned.stopped, stopped.sandboxID != record.sandboxID {
      // In another's namespace the container has no addresses of its own.
      for kept in transaction.state.endpoints(ofSandbox: stopped.sandboxID) { try transaction.release(kept) }
    }
    if var endpoint = planned.endpoint {
      endpoint.phase = .ready
      endpoint.owner = ""
      noteForwarding(of: &endpoint, transaction.state)
      transaction.save(.endpoint(endpoint))
      transaction.noteAnnouncement(of: endpoint)
      if !record.isKeptReady {
        transaction.note(
          NetworkEvent(
            .connect, networkID: endpoint.networkID, network: endpoint.networkName, container: record.container))
      }
    }
    return (record, transaction.state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase == .ready })
  }

  /// The container's namespace: the given one, the donor's, the host's, or a new one, pinned at the recorded path.
  func enter(
    _ record: SandboxRecord, given: NetworkNamespace?, made: NetworkNamespace?
  ) throws(NetworkError) -> NetworkNamespace {
    if let given {
      // A socket in it tells its cookie, see ``SandboxRecord/namespaceCookie``; a network's endpoint needs one anyway.
      if given.handle.cookie == 0 { _ = try given.connection(.route) }
      return given
    }
    guard let made else { return try namespace(of: record) }
    guard record.ownsNamespace, let path = record.namespacePath else { return made }
    try pin(made.handle, at: FilePath(path))
    // Other processes, such as an OCI runtime that outlives this one, find it by that path.
    return NetworkNamespace(made.handle, of: host.kernel, origin: FilePath(path))
  }

  /// Removes the records of a failed creation; objects that could not be removed stay recorded for the next attempt.
  func abandon(_ planned: PlannedSandbox, _ leftovers: [NetworkError]) -> [NetworkError] {
    var leftovers = leftovers
    if leftovers.isEmpty, let endpoint = planned.endpoint {
      leftovers += dropEmptyBridges(of: endpoint.networkID, leaving: [endpoint])
    }
    let left = leftovers
    var failures = leftovers
    var isLeftAlone = false
    var released: [Endpoint] = []
    if let endpoint = planned.endpoint { keeper?.end(of: endpoint.id) }
    failures += attempt { () throws(NetworkError) in
      (isLeftAlone, released) = try transaction { (transaction) throws(NetworkError) in
        // The endpoint may have moved to another bridge since it was planned.
        let endpoint = planned.endpoint.map { transaction.state.endpoints[$0.id] ?? $0 }
        let isLeftAlone =
          planned.record.isSharer
          && transaction.state.members(of: planned.record.sandboxID).allSatisfy {
            $0.container == planned.record.container || $0.phase == .removing
          }
        guard left.isEmpty, !isLeftAlone else {
          var record = planned.record
          record.phase = .removing
          record.owner = ""
          transaction.save(.sandbox(record))
          if var endpoint {
            endpoint.phase = .removing
            endpoint.owner = ""
            transaction.save(.endpoint(endpoint))
          }
          return (isLeftAlone, [])
        }
        if let endpoint { try transaction.release(endpoint, keeping: planned.kept) }
        if let stopped = planned.stopped {
          transaction.save(.sandbox(stopped))
        } else {
          transaction.remove(.sandbox, planned.record.container)
        }
        return (false, endpoint.map { [$0] } ?? [])
      }
    }
    if failures.count > leftovers.count {
      failures += letGo(
        containers: [planned.record.container], endpoints: planned.endpoint.map { [$0.id] } ?? [])
    }
    failures += dropEmptyBridges(after: released)
    // If the donor was detached meanwhile, this container is the namespace's last: detach it with everything inside.
    guard isLeftAlone else { return failures }
    failures += attempt { () throws(NetworkError) in
      try detach(planned.record.container)
      if let stopped = planned.stopped { try transaction { $0.save(.sandbox(stopped)) } }
    }
    return failures
  }

  /// The names of the links in a namespace.
  func interfaceNames(in namespace: NetworkNamespace) throws(NetworkError) -> Set<String> {
    Set(try namespace.links.list().map(\.name))
  }
}
