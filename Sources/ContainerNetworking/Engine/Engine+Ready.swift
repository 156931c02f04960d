import Dispatch
import Netlink
import NetworkPrimitives
import Synchronization

/// Ready sandboxes: made, wired and addressed in advance, so that an attach is a hand-over.
///
/// Each is recorded as ready, under a name that no container can have, and owned by the process that keeps it. Its
/// namespace has no pin and ends with this process, and its links with the namespace. The next user of the store
/// removes the record (``Engine/forgetReadyOfTheDead()``).
extension Engine {
  /// The ready sandboxes of one network, from the call that asks for some to the one that asks for none.
  struct Stock {
    /// Tells it from a later stock of the same network.
    let id = StockID()
    var wanted: Int
    var refillsPerSecond: Double
    /// Names, the oldest first.
    var names: [String] = []
    /// The number of sandboxes being made.
    var beingMade = 0
    var isRefilling = false
    var failure: NetworkError?

    var isShort: Bool { names.count + beingMade < wanted }
  }

  /// The identity of a stock.
  final class StockID: Sendable {}

  /// A sandbox that was taken from a stock for hand-over.
  struct ReadySandbox {
    var name: String
    var networkID: String
    var namespace: NetworkNamespace
  }

  // MARK: - The stock

  /// Sets the number of ready sandboxes on a network, and creates or removes sandboxes accordingly.
  func keepReady(_ count: Int, on name: String, refillsPerSecond: Double) throws(NetworkError) {
    let operation = "keep sandboxes ready on \"\(name)\""
    guard count >= 0, refillsPerSecond > 0, refillsPerSecond <= 10_000 else {
      throw .invalid(
        operation,
        "\(count) sandboxes at \(refillsPerSecond) refills a second are out of range; right are 0 or more, and above 0 "
          + "to 10000"
      )
    }
    if count > 0, name == "bridge" { _ = try ensureDefaultNetwork() }
    let network = try network(name)
    let others = stocks.withLock { stocks in
      stocks.filter { $0.key != network.id }.values.reduce(0) { $0 + $1.wanted }
    }
    // Without the sum, which may be above what an integer holds.
    guard others <= settings.readyLimit, count <= settings.readyLimit - others else {
      throw NetworkError(
        .exhausted, operation: operation,
        reason: "other networks keep \(others), and \(count) more exceed the \(settings.readyLimit) "
          + "that the setting readyLimit allows in all; keep fewer, or raise it")
    }
    let surplus = stocks.withLock { stocks in
      var stock = stocks[network.id] ?? Stock(wanted: 0, refillsPerSecond: 1)
      stock.wanted = count
      stock.refillsPerSecond = refillsPerSecond
      let surplus = stock.names.suffix(max(0, stock.names.count - count))
      stock.names.removeLast(surplus.count)
      stocks[network.id] = count > 0 ? stock : nil
      return Array(surplus)
    }
    let failures = surplus.flatMap { name in attempt { () throws(NetworkError) in try detach(name) } }
    while try makeReady(on: network.id) {}
    try failures.throwLeftovers(operation)
  }

  /// The number of ready sandboxes.
  func readySandboxes(on name: String) throws(NetworkError) -> ReadySandboxes {
    let id = try network(name).id
    let stock = stocks.withLock { $0[id] }
    return ReadySandboxes(count: stock?.names.count ?? 0, wanted: stock?.wanted ?? 0, failure: stock?.failure)
  }

  /// Makes a sandbox if the stock is short.
  ///
  /// - Returns: Whether it was short.
  private func makeReady(on networkID: String) throws(NetworkError) -> Bool {
    let id = stocks.withLock { stocks -> StockID? in
      guard var stock = stocks[networkID], stock.isShort else { return nil }
      stock.beingMade += 1
      stocks[networkID] = stock
      return stock.id
    }
    guard let id else { return false }
    let name = Name.ofReady()
    let result: Result<Void, NetworkError>
    do throws(NetworkError) {
      let network = try network(networkID)
      let mode = network.isPredefined ? NetworkMode.bridge : .network(network.id)
      _ = try attach(EndpointRequest(container: name, options: EndpointOptions(), ports: []), mode, nil, "make \(name)")
      result = .success(())
    } catch { result = .failure(error) }
    let isWanted = stocks.withLock { stocks in
      // A stock that came in the place of this one makes its own.
      guard var stock = stocks[networkID], stock.id === id else { return false }
      stock.beingMade -= 1
      let isWanted = stock.names.count < stock.wanted
      switch result {
      case .success:
        if isWanted { stock.names.append(name) }
        stock.failure = nil
      case .failure(let error): stock.failure = error
      }
      stocks[networkID] = stock
      return isWanted
    }
    try result.get()
    // The number was lowered meanwhile, or the stock ended.
    if !isWanted { try detach(name) }
    return isWanted
  }

  /// Schedules a replacement for a sandbox that was handed over.
  func refill(_ networkID: String) {
    let short = stocks.withLock { stocks -> Stock? in
      guard let stock = stocks[networkID], stock.isShort, !stock.isRefilling else { return nil }
      stocks[networkID]?.isRefilling = true
      return stock
    }
    guard let short else { return }
    refills.asyncAfter(deadline: .now() + 1 / short.refillsPerSecond) { [weak self] in
      guard let self else { return }
      // `readySandboxes(on:)` reports the failure.
      let isMade = try? verb { () throws(NetworkError) in try makeReady(on: networkID) }
      let isTheSame = stocks.withLock { stocks in
        guard stocks[networkID]?.id === short.id else { return false }
        stocks[networkID]?.isRefilling = false
        return true
      }
      if isMade == true || !isTheSame { refill(networkID) }
    }
  }

  /// Removes the ready sandboxes of a network, or of all, and stops keeping them.
  func keepNoneReady(on networkID: String? = nil) -> [NetworkError] {
    let names = stocks.withLock { stocks in
      let ended = stocks.filter { networkID == nil || $0.key == networkID }
      for id in ended.keys { stocks[id] = nil }
      return ended.values.flatMap(\.names)
    }
    return names.flatMap { name in attempt { () throws(NetworkError) in try detach(name) } }
  }

  /// Removes the ready sandboxes of a network to free their addresses and ports; the stock fills up again after the
  /// next hand-over.
  ///
  /// - Returns: Whether there were any.
  func giveWay(on mode: NetworkMode) -> Bool {
    guard let id = try? readyNetworkID(mode) else { return false }
    let names = stocks.withLock { stocks in
      defer { stocks[id]?.names = [] }
      return stocks[id]?.names ?? []
    }
    for name in names { _ = attempt { () throws(NetworkError) in try detach(name) } }
    return !names.isEmpty
  }

  private func readyNetworkID(_ mode: NetworkMode) throws(NetworkError) -> String? {
    switch mode {
    case .bridge: try look { state in state.readyDefaultNetwork }
    case .network(let name): try network(name).id
    case .none, .host, .container: nil
    }
  }

  // MARK: - Handing over

  /// Takes a ready sandbox for a suitable request: only ports, aliases and a priority can be added afterwards.
  func takeReady(for request: EndpointRequest, _ mode: NetworkMode) throws(NetworkError) -> ReadySandbox? {
    guard stocks.withLock({ !$0.isEmpty }), !Name.isOfReady(request.container) else { return nil }
    var rest = request.options
    rest.aliases = []
    rest.labels = [:]
    rest.gatewayPriority = 0
    guard rest == EndpointOptions(), let id = try readyNetworkID(mode) else { return nil }
    while true {
      let name = stocks.withLock { stocks in
        stocks[id]?.names.isEmpty == false ? stocks[id]?.names.removeFirst() : nil
      }
      guard let name else { return nil }
      // A stopped container has addresses of its own.
      let found = try look { state in (state.sandboxes[name], state.sandboxes[request.container] == nil) }
      guard found.1 else {
        giveBack(name, to: id)
        return nil
      }
      guard let record = found.0, record.phase == .ready,
        let namespace = namespaces.withLock({ $0[record.sandboxID] })
      else { continue }
      return ReadySandbox(name: name, networkID: id, namespace: namespace)
    }
  }

  /// Returns a sandbox to its stock after a failed hand-over.
  func giveBack(_ name: String, to networkID: String) {
    let isKept = stocks.withLock { stocks in
      guard stocks[networkID]?.isShort == true else { return false }
      stocks[networkID]?.names.insert(name, at: 0)
      return true
    }
    if !isKept { _ = attempt { () throws(NetworkError) in try detach(name) } }
  }

  /// Removes the ready sandboxes of dead users of the store.
  func forgetReadyOfTheDead() throws(NetworkError) {
    let names = try lookAtUnsettled { state in
      state.sandboxes.values.filter { $0.isKeptReady && $0.phase == .ready && !isAlive($0.owner) }.map(\.container)
    }
    var failures: [NetworkError] = []
    for name in names { failures += attempt { () throws(NetworkError) in try detach(name) } }
    try failures.throwLeftovers("remove ready sandboxes")
  }
}

extension Engine.Transaction {
  /// Records that a ready sandbox belongs to the container from now on.
  ///
  /// - Parameter record: The container's new record; it takes over the sandbox's data.
  /// - Returns: The endpoint, which still lacks its ports.
  mutating func handOver(
    _ ready: Engine.ReadySandbox, to record: inout SandboxRecord, _ request: EndpointRequest,
    on network: NetworkRecord, _ places: PortPlaces, owner: String, _ operation: String
  ) throws(NetworkError) -> Endpoint {
    guard let sandbox = state.sandboxes[ready.name], sandbox.phase == .ready, sandbox.owner == owner,
      var endpoint = state.endpoints(ofSandbox: sandbox.sandboxID).first, endpoint.phase == .ready,
      endpoint.networkID == network.id, state.sandboxes[record.container] == nil
    else {
      throw NetworkError(
        .inUse, operation: operation,
        reason: "its ready sandbox is being removed; try again")
    }
    endpoint.ports = try state.ports.pick(
      request.ports, for: request.container, bindingAddress: network.policy.hostBindingAddress, at: places,
      ephemeral: request.ephemeral)
    try transfer(endpoint, to: request.container, on: network)
    record.sandboxID = sandbox.sandboxID
    endpoint.container = request.container
    endpoint.aliases = request.options.aliases
    endpoint.labels = request.options.labels.isEmpty ? nil : request.options.labels
    endpoint.gatewayPriority = request.options.gatewayPriority
    endpoint.phase = .creating
    endpoint.owner = owner
    remove(.sandbox, ready.name)
    save(.endpoint(endpoint))
    return endpoint
  }
}
