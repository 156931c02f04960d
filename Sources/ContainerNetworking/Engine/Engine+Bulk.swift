import Netlink
import NetworkPrimitives
import Synchronization

/// Attaches many containers, with one transaction before the kernel's work and one after it for all.
extension Engine {
  /// A container that is created together with others.
  private struct Job {
    /// Its index in the requests.
    var place: Int
    var request: EndpointRequest
    var mode: NetworkMode
    var operation: String
    var given: NetworkNamespace?
    var made: NetworkNamespace?
  }

  /// - Returns: The result of each request, in order.
  func attach(_ requests: [AttachRequest]) -> [Result<Sandbox, NetworkError>] {
    var results: [Int: Result<Sandbox, NetworkError>] = [:]
    attachTogether(suited(requests), &results)
    return requests.enumerated().map { place, request in
      if let result = results[place] { return result }
      // The remaining requests need more, such as a network that exists by now; this also reports their faults.
      do throws(NetworkError) {
        return .success(
          try attach(request.container, to: request.mode, options: request.options, namespace: request.namespace))
      } catch { return .failure(error) }
    }
  }

  /// The requests that can be processed together: new containers on existing networks without ready sandboxes, with
  /// valid options.
  private func suited(_ requests: [AttachRequest]) -> [Job] {
    var names: Set<String> = []
    var jobs: [Job] = []
    for (place, request) in requests.enumerated() {
      let operation = "attach \"\(request.container)\" to \(request.mode)"
      switch request.mode {
      case .none, .host, .container: continue
      case .bridge, .network: break
      }
      if let job = job(request, place, operation), names.insert(request.container).inserted { jobs.append(job) }
    }
    return jobs.count > 1 ? jobs : []
  }

  private func job(_ request: AttachRequest, _ place: Int, _ operation: String) -> Job? {
    do throws(NetworkError) {
      try Name.check(request.container, what: "container", operation: operation)
      let options = request.options
      let conflicts = request.mode.conflicts(
        with: options, container: request.container, hasNamespace: request.namespace != nil)
      guard conflicts.isEmpty, options.names.faults(operation).isEmpty,
        options.ports.allSatisfy({ $0.hostPorts != nil })
      else { return nil }
      try Self.check(options.ports)
      let name = request.mode == .bridge ? "bridge" : "\(request.mode)"
      let isSuited = try look { (state) throws(NetworkError) in
        guard state.sandboxes[request.container] == nil else { return false }
        let network = try state.network(name)
        return network.phase == .ready && knows(network) && stocks.withLock({ $0[network.id] == nil })
      }
      guard isSuited else { return nil }
      return Job(
        place: place,
        request: EndpointRequest(
          container: request.container, options: options.endpoint, ports: options.ports, names: options.names,
          ephemeral: try ephemeralPorts(for: options.ports)),
        mode: request.mode, operation: operation, given: request.namespace)
    } catch { return nil }
  }

  private func attachTogether(_ suited: [Job], _ results: inout [Int: Result<Sandbox, NetworkError>]) {
    var jobs: [Job] = []
    for var job in suited {
      do throws(NetworkError) {
        if job.given == nil { job.made = try NetworkNamespace.create(on: host.kernel) }
        jobs.append(job)
      } catch { results[job.place] = .failure(undone(job.operation, error, leftovers: [])) }
    }
    var making: [(job: Job, planned: PlannedSandbox, namespace: NetworkNamespace)] = []
    var grown: Set<InterfaceName> = []
    for (job, planned) in planTogether(jobs, &results) {
      var planned = planned
      do throws(NetworkError) {
        if let endpoint = planned.endpoint, let network = planned.network {
          try settlePorts(of: &planned, endpoint, on: network, job.request)
          if let bridge = endpoint.bridge, !grown.contains(bridge) {
            try makeBridge(of: endpoint, on: network)
            grown.insert(bridge)
          }
        }
        making.append((job, planned, try enter(planned.record, given: job.given, made: job.made)))
      } catch {
        results[job.place] = .failure(
          undone(job.operation, error, leftovers: abandon(planned, error.leftovers + leave(planned.record))))
      }
    }
    let plugs = making.compactMap { (_, planned, namespace) in
      planned.endpoint.flatMap { endpoint in
        planned.network.map { EndpointPlug(endpoint: endpoint, network: $0, namespace: namespace) }
      }
    }
    let failures = connect(plugs)
    var made: [(job: Job, planned: PlannedSandbox, namespace: NetworkNamespace)] = []
    for (index, making) in making.enumerated() {
      let (job, namespace) = (making.job, making.namespace)
      var planned = making.planned
      if let failure = failures[index] {
        let leftovers = abandon(planned, failure.leftovers + leave(planned.record))
        // A link of the given namespace may conflict: the single attach lists its links.
        let isInTheWay = job.given != nil && failure.code == .alreadyExists
        // Or foreign ports fill the bridge: the single attach uses the next one.
        if isInTheWay || failure.isBridgeFull, leftovers.isEmpty { continue }
        results[job.place] = .failure(undone(job.operation, failure, leftovers: leftovers))
        continue
      }
      do throws(NetworkError) {
        if let network = planned.network { try serveNames(of: network, for: planned.record, in: namespace) }
        if let endpoint = planned.endpoint { try keeper?.begin(endpoint.ports, of: endpoint) }
        planned.record.warnings += try makeFiles(of: planned.record, planned.endpoint, on: planned.network)
        made.append((job, planned, namespace))
      } catch { results[job.place] = .failure(takeBack(planned, namespace, error, job.operation)) }
    }
    finishTogether(made, &results)
  }

  /// Chooses addresses, ports and names for all, and records them; a request that fails is left out.
  private func planTogether(
    _ suited: [Job], _ results: inout [Int: Result<Sandbox, NetworkError>]
  ) -> [(Job, PlannedSandbox)] {
    var jobs = suited
    while !jobs.isEmpty {
      var refused: Int?
      let attempt = jobs
      do throws(NetworkError) {
        let planned = try transaction { (transaction) throws(NetworkError) in
          var planned: [PlannedSandbox] = []
          for (index, job) in attempt.enumerated() {
            do throws(NetworkError) {
              planned.append(
                try plan(job.request, job.mode, given: job.given, made: job.made, job.operation, &transaction))
            } catch {
              refused = index
              throw error
            }
          }
          return planned
        }
        return Array(zip(jobs, planned))
      } catch {
        // After a refusal, plans the others again; if nothing can be written, all fail.
        for index in refused.map({ [$0] }) ?? Array(jobs.indices) {
          // The single attach checks a namespace that is recorded for another container.
          let mayBeFree = refused != nil && error.code == .inUse && jobs[index].given != nil
          if !mayBeFree { results[jobs[index].place] = .failure(error) }
        }
        if let refused { jobs.remove(at: refused) } else { jobs = [] }
      }
    }
    return []
  }

  private func finishTogether(
    _ made: [(job: Job, planned: PlannedSandbox, namespace: NetworkNamespace)],
    _ results: inout [Int: Result<Sandbox, NetworkError>]
  ) {
    guard !made.isEmpty else { return }
    let finishing = made.map { ($0.planned, $0.namespace) }
    do throws(NetworkError) {
      let finished = try transaction { (transaction) throws(NetworkError) in
        var finished: [(SandboxRecord, [Endpoint])] = []
        for (planned, namespace) in finishing { finished.append(try finish(planned, namespace, &transaction)) }
        return finished
      }
      for ((job, _, namespace), (record, endpoints)) in zip(made, finished) {
        namespaces.withLock { $0[record.sandboxID] = namespace }
        for endpoint in endpoints { handOverPorts(of: endpoint) }
        results[job.place] = .success(Sandbox(record, endpoints, namespace))
      }
    } catch {
      for (job, planned, namespace) in made {
        results[job.place] = .failure(takeBack(planned, namespace, error, job.operation))
      }
    }
  }

  /// Removes a created sandbox after a failure.
  private func takeBack(
    _ planned: PlannedSandbox, _ namespace: NetworkNamespace, _ error: NetworkError, _ operation: String
  ) -> NetworkError {
    var leftovers = error.leftovers
    if let endpoint = planned.endpoint, let network = planned.network {
      withdrawNames(of: planned.record, leaving: [endpoint])
      leftovers += disconnect(endpoint, from: network, in: namespace)
    }
    leftovers += leave(planned.record)
    return undone(operation, error, leftovers: abandon(planned, leftovers))
  }
}
