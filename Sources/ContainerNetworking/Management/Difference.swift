/// Something that the records say and the kernel does not, or the other way round.
public struct Difference: Hashable, Sendable, CustomStringConvertible {
  /// What is different.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// A network's bridge is gone.
    case bridgeMissing
    /// The link of the host that a network's endpoints are made on is gone.
    case parentMissing
    /// The mtu of the link that a network's endpoints are made on is less than the network's.
    case parentMTU
    /// A bridge is down, or does not have an address that it should.
    case bridgeSettings
    /// An address, route, router or resolver of the host is in a network's subnet, or the other way round.
    case hostOverlap
    /// Forwarding that a network needs is off.
    case forwarding
    /// Links of the host are kept to our networks, though its owner has them forward for all.
    case uplinks
    /// A firewall table of ours is gone, or rules or elements of it are missing or strange.
    case rules
    /// The address that a network's packets leave with is not the host's any more.
    case sourceAddress
    /// An endpoint's veth pair or macvlan is gone.
    case linkMissing
    /// A veth is no port of its bridge, or down.
    case portSettings
    /// An address or the default route in a container is missing.
    case containerSettings
    /// The namespace of a container is gone: an endpoint without a container.
    case namespaceGone
    /// A container is recorded as being in the host's own namespace, by a version that did not refuse that.
    case hostNamespace
    /// A veth of ours is on a bridge of ours, and no record tells of it.
    case strayPort
    /// A container's resolv.conf, hosts or hostname is gone.
    case filesMissing
    /// A directory of ours has files of a container that no record tells of.
    case strayFiles
    /// Nobody answers for the names of a network.
    case namesUnserved
    /// Nobody forwards a published port from an address that needs it.
    case portUnserved
    /// Somebody who is gone began a change and did not end it.
    case unfinished
  }

  /// What is different.
  public var kind: Kind
  /// The network that it is about, or an empty text.
  public var network: String
  /// The container that it is about, or nil.
  public var container: String?
  /// What is different, in words.
  public var detail: String

  init(_ kind: Kind, network: String = "", container: String? = nil, _ detail: String) {
    self.kind = kind
    self.network = network
    self.container = container
    self.detail = detail
  }

  /// What is different, in words.
  public var description: String { detail }

  /// What a repair does about it.
  public var remedy: String {
    switch kind {
    case .bridgeMissing: "make the bridge again, and put its ports back"
    case .parentMissing: "nothing: it is not ours; bring it back, and reconcile"
    case .parentMTU: "nothing: it is not ours; raise it again, or make the network again with its mtu"
    case .bridgeSettings: "set it up again"
    case .hostOverlap: "nothing: move one of them, or make the network again and say that it is meant (host-overlap)"
    case .forwarding: "switch it on again"
    case .uplinks: "let them forward for others too"
    case .rules: "put our tables back whole, in one transaction"
    case .sourceAddress: "nothing: it is not ours; add it to a link again"
    case .linkMissing: "make it again, with the same addresses"
    case .portSettings: "put it back on its bridge, and up"
    case .containerSettings: "add it again"
    case .namespaceGone: "release its addresses and ports, and forget it"
    case .hostNamespace:
      "nothing: detach the container, which takes what it brought to the host; attach it in mode host, or with a namespace "
        + "of its own"
    case .strayPort: "delete it"
    case .filesMissing: "write them again; who has bound the old ones goes on reading those"
    case .strayFiles: "remove it"
    case .namesUnserved: "have the name service answer for it"
    case .portUnserved:
      "take it up, where this controller forwards; start a forwarder, as cnet forward, where none does"
    case .unfinished: "undo or finish it"
    }
  }
}

/// What a reconciliation found and did.
public struct ReconcileReport: Hashable, Sendable {
  /// What was different.
  public internal(set) var found: [Difference] = []
  /// What still is, after the repair.
  public internal(set) var remaining: [Difference] = []
  /// What went wrong with the repair.
  public internal(set) var failures: [NetworkError] = []
}
