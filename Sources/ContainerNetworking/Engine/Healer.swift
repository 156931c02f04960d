import Glibc
import Netlink
import NetworkPrimitives
import Synchronization

/// Watches the host's kernel and restores at once our objects that another program removes: a bridge, its address, a
/// port, our rules. Also enables forwarding on new links of the host. This process's own changes do not trigger a
/// check.
///
/// A failed repair is retried, after pauses that grow from a tenth of a second to ten. It does not delay other repairs:
/// every retry checks everything, and comes within a second when more is removed. A watch that the kernel ends is
/// started again, followed by a check for missed changes.
final class Healer: Sendable {
  private let tasks: [Task<Void, Never>]

  /// - Parameter isDue: Whether something is to be repaired already.
  init(
    _ engine: Engine, _ worker: Worker, isDue: Bool, log: @escaping @Sendable (ReconcileReport) -> Void
  ) throws(NetworkError) {
    // However many events arrive during a repair, one more check follows.
    let (calls, caller) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let pending = PendingLook()
    let call = { @Sendable (isOfRulesAlone: Bool) in
      pending.add(isOfRulesAlone: isOfRulesAlone)
      caller.yield()
    }
    if isDue { call(false) }
    let links = try engine.host.changes(of: [.links, .addresses])
    let rules = try engine.host.rulesetChanges()
    let switches = try engine.forwardingChanges()
    let ways = try engine.host.changes(of: [.routes, .addresses])
    tasks = [
      Task {
        for await _ in calls {
          // Nothing, if a later retry has checked by now.
          guard let scope = pending.take() else { continue }
          await Self.heal(scope, pending, engine, worker, log: log)
        }
      },
      Task {
        await Self.watch(
          links, again: { () throws(NetworkError) in try engine.host.changes(of: [.links, .addresses]) }
        ) {
          change in
          guard Self.isOfInterest(change) else { return }
          // Reads the records outside Swift's pool: another process may hold them.
          let isSuspicious = try? await worker.run { () throws(NetworkError) in Self.isSuspicious(change, engine) }
          if isSuspicious ?? true { call(false) }
        } missed: {
          call(false)
        }
      },
      Task {
        await Self.watch(
          switches, again: { () throws(NetworkError) in try engine.forwardingChanges() }
        ) { change in
          // A link that comes is told of as a link. What is switched on, we have, or its owner for all links.
          guard let change else { return call(false) }
          guard !change.isNewLink, change.isOn != true || change.link < 0 else { return }
          let needs = try? await worker.run { () throws(NetworkError) in try engine.forwardingNeeds() }
          if needs?.isEmpty != true { call(false) }
        } missed: {
          call(false)
        }
      },
      Task {
        // Apart from links: a host that has routes from its neighbours has very many.
        let tell = { @Sendable () async in
          do throws(NetworkError) {
            try await worker.run { () throws(NetworkError) in try engine.tellOverlaps() }
          } catch { log(ReconcileReport(failures: [error])) }
        }
        await tell()
        let isStale = Mutex(false)
        await Self.watch(
          ways, again: { () throws(NetworkError) in try engine.host.changes(of: [.routes, .addresses]) }
        ) { change in
          let mayOverlap = try? await worker.run { () throws(NetworkError) in engine.mayOverlap(change) }
          let wasStale = isStale.withLock { isStale in
            defer { isStale = false }
            return isStale
          }
          if wasStale || mayOverlap ?? true { await tell() }
        } missed: {
          isStale.withLock { $0 = true }
        }
      },
      Task {
        let isSuspicious = Mutex(false)
        await Self.watch(rules, again: { () throws(NetworkError) in try engine.host.rulesetChanges() }) { change in
          switch change {
          case .removed(let object):
            if FirewallSets.tables.contains(where: { $0.identity == object.table }),
              !object.isOfOthers(engine.firewall.id)
            {
              isSuspicious.withLock { $0 = true }
            }
          case .generation(let generation):
            let wasSuspicious = isSuspicious.withLock { isSuspicious in
              defer { isSuspicious = false }
              return isSuspicious
            }
            guard !Self.isOwnThread(generation.processID) else { return }
            // Programs that enable the host's forwarding write rules of their own, too: Docker, libvirt, Podman.
            let isTheirs = try? await worker.run { () throws(NetworkError) in Self.keepsUplinksOfOthers(engine) }
            if wasSuspicious || isTheirs ?? false { call(!(isTheirs ?? true)) }
          case .lost: call(false)
          case .added: break
          }
        } missed: {
          call(false)
        }
      },
    ]
  }

  deinit { for task in tasks { task.cancel() } }

  /// Repairs until nothing remains, or the task is cancelled. Reports each result that differs from the last.
  private static func heal(
    _ first: LookScope, _ pending: PendingLook, _ engine: Engine, _ worker: Worker,
    log: @Sendable (ReconcileReport) -> Void
  ) async {
    var scope = first
    var last: ReconcileReport?
    for attempt in 0... {
      if Task.isCancelled { return }
      let report: ReconcileReport
      do throws(NetworkError) {
        report = try await worker.run { [scope] () throws(NetworkError) in
          try engine.gate.pass { () throws(NetworkError) in try engine.reconcile(scope) }
        }
      } catch {
        // Everything is being removed.
        if error.code == .closed { return }
        report = ReconcileReport(failures: [error])
      }
      if (!report.found.isEmpty || !report.failures.isEmpty) && report != last { log(report) }
      last = report
      if report.remaining.isEmpty && report.failures.isEmpty { return }
      await wait(for: pause(after: attempt), pending)
      scope = LookScope(looksInside: false)
    }
  }

  /// Waits, but at most about a second once a check is pending, and takes it over.
  private static func wait(for pause: Duration, _ pending: PendingLook) async {
    var left = pause
    while left > .zero, !Task.isCancelled {
      let part = min(left, .seconds(1))
      try? await Task.sleep(for: part)
      left -= part
      if pending.take() != nil { return }
    }
  }

  /// 0.1 s, doubled with each attempt, at most 10 s.
  private static func pause(after attempt: Int) -> Duration { .milliseconds(min(10_000, 100 << min(attempt, 7))) }

  /// Follows a stream, and starts again after the kernel ends it, until the task is cancelled.
  private static func watch<Event: Sendable>(
    _ first: EventStream<Event>, again: @Sendable () throws(NetworkError) -> EventStream<Event>,
    _ body: @Sendable (Event) async -> Void, missed: @Sendable () -> Void
  ) async {
    var stream: EventStream<Event>? = first
    for attempt in 0... {
      if let stream {
        do throws(NetworkError) { for try await event in stream { await body(event) } } catch {}
      }
      if Task.isCancelled { return }
      try? await Task.sleep(for: pause(after: attempt))
      stream = try? again()
      if stream != nil { missed() }
    }
  }

  /// Whether a change removes something, or adds a possible uplink.
  private static func isOfInterest(_ change: NetworkChange) -> Bool {
    switch change {
    case .linkRemoved, .addressRemoved, .lost: true
    case .linkChanged(let link): takesAway(link) || mayBeUplink(link)
    default: false
    }
  }

  private static func mayBeUplink(_ link: Link) -> Bool {
    link.flags.contains(.up) && link.master == nil && !link.flags.contains(.loopback)
  }

  /// Whether a link is in a state that ours never have.
  private static func takesAway(_ link: Link) -> Bool {
    !link.flags.contains(.up) || link.kind == "veth" && link.master == nil
  }

  /// Whether a change may contradict the records.
  private static func isSuspicious(_ change: NetworkChange, _ engine: Engine) -> Bool {
    let isOurs = { (link: Link) in
      (try? engine.look { state in
        state.networks.values.contains { $0.phase == .ready && $0.ownLinks.contains(link.name) }
          || state.hasReadyPort(link.name)
      }) ?? true
    }
    switch change {
    case .linkRemoved(let link): return isOurs(link)
    case .linkChanged(let link) where mayBeUplink(link) && isIdleUplink(link, engine): return true
    case .linkChanged(let link):
      // Reported during its creation: by now it is right.
      if let now = try? engine.host.links.get(link.index), !takesAway(now) { return false }
      return isOurs(link)
    case .addressRemoved(let address):
      return
        (try? engine.look { state in
          state.networks.values.contains { network in
            network.phase == .ready && network.subnets.contains { $0.gateway == address.address.address }
          }
        }) ?? true
    case .lost: return true
    default: return false
    }
  }

  /// Whether a link of the host does not forward for our networks yet.
  private static func isIdleUplink(_ link: Link, _ engine: Engine) -> Bool {
    let known = try? engine.look { state in
      (Array(state.networks.values), state.host, state.hasReadyPort(link.name))
    }
    guard let (networks, record, isPort) = known, !isPort,
      !networks.contains(where: { $0.ownLinks.contains(link.name) })
    else { return false }
    let families = engine.forwardedFamilies(networks)
    guard families.contains(where: { engine.idleUplink(link.name, link.index, $0, record) != nil }) else {
      return false
    }
    // Another record's bridge is not an uplink.
    return (try? engine.firewall.othersBridges()[link.name]) ?? nil == nil
  }

  private static func keepsUplinksOfOthers(_ engine: Engine) -> Bool {
    guard let record = try? engine.look({ $0.host }) else { return false }
    return !engine.yieldedFamilies(record).isEmpty
  }

  private static func isOwnThread(_ id: Int32) -> Bool { unsafe access("/proc/self/task/\(id)", F_OK) == 0 }
}

/// The pending check: everything, unless only our tables changed.
private final class PendingLook: Sendable {
  private let scope = Mutex<LookScope?>(nil)

  func add(isOfRulesAlone: Bool) {
    scope.withLock { scope in
      if !isOfRulesAlone { scope = LookScope(looksInside: false) } else if scope == nil { scope = .rules }
    }
  }

  func take() -> LookScope? { scope.withLock { $0.take() } }
}

extension RulesetChange.Object {
  fileprivate var table: String {
    switch self {
    case .table(let table): table.identity
    case .chain(let table, _), .rule(let table, _, _), .set(let table, _), .elements(let table, _, _, _):
      table.identity
    }
  }

  /// Whether the change consists of other records' elements.
  fileprivate func isOfOthers(_ own: RecordID) -> Bool {
    guard case .elements(_, _, _, let comments) = self else { return false }
    return !comments.isEmpty
      && comments.allSatisfy { comment in RecordID(comment: comment).map { $0 != own } ?? false }
  }
}

extension NftTable {
  /// Family and name, without the handle.
  fileprivate var identity: String { "\(family) \(name)" }
}
