/// A difference between the records and the kernel.
public struct Difference: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The kind of difference. New ones may come, so a `switch` needs a `default`.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// A network's driver is not among this controller's: nothing of the network is looked at.
    case driverMissing
    /// A network's bridge is gone.
    case bridgeMissing
    /// The parent of a network's endpoints is gone.
    case parentMissing
    /// The MTU of the parent of a network's endpoints is less than the network's.
    case parentMTU
    /// A bridge is down, or lacks one of its addresses.
    case bridgeSettings
    /// An address, route, router or resolver of the host overlaps a network's subnet.
    case hostOverlap
    /// Forwarding that a network needs is off.
    case forwarding
    /// Links of the host forward only for our networks, though its owner has enabled forwarding for all.
    case uplinks
    /// A firewall table of ours is missing, or its rules or elements are missing or superfluous.
    case rules
    /// The source address of a network's packets is no longer the host's.
    case sourceAddress
    /// An endpoint's veth pair or macvlan is gone.
    case linkMissing
    /// A veth is not a port of its bridge, or is down.
    case portSettings
    /// An address or the default route in a container is missing.
    case containerSettings
    /// The namespace of a container is gone: an endpoint without a container.
    case namespaceGone
    /// The namespace of a container may live where this process does not see: in other mount and PID namespaces.
    case namespaceUnseen
    /// The link of a joined endpoint is gone, with the namespace that an engine moved it to.
    case endpointGone
    /// A container is recorded as being in the host's own namespace, by a version that did not refuse that.
    case hostNamespace
    /// A veth of ours is on a bridge of ours, and no record tells of it.
    case strayPort
    /// A container's resolv.conf, hosts or hostname is gone.
    case filesMissing
    /// A directory of ours has files of an unrecorded container.
    case strayFiles
    /// A network has no name server.
    case namesUnserved
    /// A published port has no forwarder at an address that needs one.
    case portUnserved
    /// A process ended before it completed a change.
    case unfinished
  }

  /// The kind of difference.
  public var kind: Kind
  /// The network, or an empty text.
  public var network: String
  /// The container, or nil.
  public var container: String?
  /// The difference, in words.
  public var detail: String

  /// A difference that a ``Driver`` found.
  ///
  /// - Parameters:
  ///   - kind: Its kind.
  ///   - network: The network, by name.
  ///   - container: The container; nil for a difference of the whole network.
  ///   - detail: The difference, in words.
  public init(_ kind: Kind, network: String = "", container: String? = nil, _ detail: String) {
    self.kind = kind
    self.network = network
    self.container = container
    self.detail = detail
  }

  /// The difference, in words.
  public var description: String { detail }

  /// The repair, in words.
  public var remedy: String {
    switch kind {
    case .driverMissing: "nothing: the network is left to a program that has its driver"
    case .bridgeMissing: "make the bridge again, and put its ports back"
    case .parentMissing: "nothing: it is not ours; bring it back, and reconcile"
    case .parentMTU: "nothing: it is not ours; raise it again, or make the network again with its mtu"
    case .bridgeSettings: "set it up again"
    case .hostOverlap: "nothing: move one of them, or make the network again with the option host-overlap"
    case .forwarding: "switch it on again"
    case .uplinks: "let them forward for other networks, too"
    case .rules: "put our tables back whole, in one transaction"
    case .sourceAddress: "nothing: it is not ours; add it to a link again"
    case .linkMissing: "make it again, with the same addresses"
    case .portSettings: "put it back on its bridge, and up"
    case .containerSettings: "add it again"
    case .namespaceGone: "release its addresses and ports, and forget it"
    case .namespaceUnseen:
      "nothing: look from where it was attached, or from the machine's own PID namespace; if it is gone, detach it"
    case .endpointGone: "leave the endpoint: its addresses and ports stay claimed until it is deleted"
    case .hostNamespace:
      "nothing: detach the container, which removes its interfaces from the host; attach it in mode host, or with a "
        + "namespace of its own"
    case .strayPort: "delete it"
    case .filesMissing: "write them again; containers that already mounted the old ones keep seeing those"
    case .strayFiles: "remove it"
    case .namesUnserved: "serve its names again"
    case .portUnserved:
      "forward it, if this controller forwards; otherwise start a forwarder (cnet forward)"
    case .unfinished: "undo or finish it"
    }
  }
}

/// The result of a reconciliation.
public struct ReconcileReport: Hashable, Sendable {
  /// The differences found.
  public internal(set) var found: [Difference] = []
  /// The differences that the repair left.
  public internal(set) var remaining: [Difference] = []
  /// The failures of the repair.
  public internal(set) var failures: [NetworkError] = []
}
