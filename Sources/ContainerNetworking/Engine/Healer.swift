import Glibc
import Netlink
import NetworkPrimitives
import Synchronization

/// Watches the host's kernel and puts back at once what somebody else takes away: a bridge, an address of one, a port, our
/// rules. What this process changes itself is no reason to look.
final class Healer: Sendable {
  private let engine: Engine
  private let worker: Worker
  private let tasks: [Task<Void, Never>]
  private let streams: (links: EventStream<NetworkChange>, rules: EventStream<RulesetChange>)

  init(_ engine: Engine, _ worker: Worker, log: @escaping @Sendable (ReconcileReport) -> Void) throws(NetworkError) {
    self.engine = engine
    self.worker = worker
    let links = try engine.host.changes(of: [.links, .addresses])
    let rules = try engine.host.rulesetChanges()
    streams = (links, rules)
    let heal: @Sendable () async -> Void = {
      let result: ReconcileReport? = try? await worker.run { () throws(NetworkError) in
        try engine.gate.pass { () throws(NetworkError) in try engine.reconcile(looksInside: false) }
      }
      if let result, !result.found.isEmpty { log(result) }
    }
    tasks = [
      Task {
        do {
          for try await change in links where Self.isOfInterest(change) {
            // The records are looked at away from Swift's pool: another process may be at them.
            let isSuspicious = try? await worker.run { () throws(NetworkError) in Self.isSuspicious(change, engine) }
            if isSuspicious ?? true { await heal() }
          }
        } catch {}
      },
      Task {
        var isSuspicious = false
        do {
          for try await change in rules {
            switch change {
            case .removed(let object):
              isSuspicious = isSuspicious || FirewallSets.tables.contains { $0.identity == object.table }
            case .generation(let generation):
              if isSuspicious, !Self.isOwnThread(generation.processID) { await heal() }
              isSuspicious = false
            case .lost: await heal()
            case .added: break
            }
          }
        } catch {}
      },
    ]
  }

  deinit {
    streams.links.finish()
    streams.rules.finish()
    for task in tasks { task.cancel() }
  }

  /// Whether a change takes something away.
  private static func isOfInterest(_ change: NetworkChange) -> Bool {
    switch change {
    case .linkRemoved, .addressRemoved, .lost: true
    case .linkChanged(let link): takesAway(link)
    default: false
    }
  }

  /// Whether a link is as none of ours may be.
  private static func takesAway(_ link: Link) -> Bool {
    !link.flags.contains(.up) || link.kind == "veth" && link.master == nil
  }

  /// Whether a change may be one that a record does not know of.
  private static func isSuspicious(_ change: NetworkChange, _ engine: Engine) -> Bool {
    let isOurs = { (link: Link) in
      (try? engine.look { state in
        state.networks.values.contains { $0.phase == .ready && $0.bridge?.description == link.name }
          || state.hasReadyPort(link.name)
      }) ?? true
    }
    switch change {
    case .linkRemoved(let link): return isOurs(link)
    case .linkChanged(let link):
      // Told while it was made: by now it is as it should be.
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

  private static func isOwnThread(_ id: Int32) -> Bool { unsafe access("/proc/self/task/\(id)", F_OK) == 0 }
}

extension RulesetChange.Object {
  fileprivate var table: String {
    switch self {
    case .table(let table): table.identity
    case .chain(let table, _), .rule(let table, _, _), .set(let table, _), .elements(let table, _, _): table.identity
    }
  }
}

extension NftTable {
  /// Family and name, without the handle.
  fileprivate var identity: String { "\(family) \(name)" }
}
