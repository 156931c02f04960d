public import NetworkPrimitives

/// An address of a pool that is taken, and its owner.
public struct Lease: Hashable, Sendable, Codable {
  /// The address.
  public var address: IPAddress
  /// The owner: the caller's name for it, the name of an auxiliary address, or `gateway`.
  public var owner: String
  /// The kind of lease.
  public var kind: Kind

  /// A lease.
  public init(address: IPAddress, owner: String, kind: Kind) {
    self.address = address
    self.owner = owner
    self.kind = kind
  }

  /// The kind of a lease.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// The pool chose it.
    case dynamic
    /// The owner asked for this address; the owner keeps it as long as it exists, running or not.
    case `static`
    /// The network's gateway; taken as long as the pool exists.
    case gateway
    /// Reserved by the configuration for a use outside this library; taken as long as the pool exists.
    case auxiliary
  }

  /// The holder of the address, as an error sentence names it.
  var holder: String {
    switch kind {
    case .dynamic, .static: quoted(owner)
    case .gateway: "the gateway"
    case .auxiliary: "the auxiliary address \(quoted(owner))"
    }
  }
}
