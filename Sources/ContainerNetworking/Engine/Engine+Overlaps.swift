import Netlink
import NetworkPrimitives
import Synchronization

/// Subnets that the host has come to live in while somebody watches: told once, since nothing of ours can mend it.
extension Engine {
  /// Tells of networks in whose subnets the host has come to live since the last call; one that has ended is told again when it
  /// comes back.
  func tellOverlaps() throws(NetworkError) {
    let survey = try survey()
    let found = Set(try hostOverlaps(survey))
    let new = overlapsTold.withLock { told in
      defer { told = found }
      return found.subtracting(told).sorted { ($0.network, $0.detail) < ($1.network, $1.detail) }
    }
    guard !new.isEmpty else { return }
    tell(ReconcileReport(found: new, remaining: new))
    let networks = survey.networks.filter { network in new.contains { $0.network == network.name } }
    try transaction { transaction in
      for network in networks {
        transaction.note(NetworkEvent(.overlap, networkID: network.id, network: network.name))
      }
    }
  }

  /// Whether a change of the host's routes or addresses may be about a subnet of ours, by what the records say alone.
  func mayOverlap(_ change: NetworkChange) -> Bool {
    let (block, link): (Subnet, Int32?)
    switch change {
    case .routeAdded(let route), .routeRemoved(let route):
      guard route.kind == .unicast, route.destination.prefixLength > 1 else { return false }
      (block, link) = (route.destination, route.link)
    case .addressAdded(let address), .addressRemoved(let address):
      (block, link) = (address.address.subnet, address.link)
    case .lost: return true
    default: return false
    }
    guard !block.network.isLinkLocal, !block.network.isMulticast, !block.network.isLoopback else { return false }
    let networks = (try? look { Array($0.networks.values) }) ?? []
    return networks.contains { network in
      guard network.phase == .ready, network.subnets.contains(where: { $0.subnet.overlaps(block) }) else {
        return false
      }
      return link == nil || link != network.bridge.flatMap { bridges.indices.known($0) }
    }
  }
}
