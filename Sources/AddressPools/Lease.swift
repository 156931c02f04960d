public import NetworkPrimitives

/// An address of a pool that is not free, and whose it is.
public struct Lease: Hashable, Sendable, Codable {
  /// The address.
  public var address: IPAddress
  /// Whose it is: what the caller gave, the name of an auxiliary address, or `gateway`.
  public var owner: String
  /// How it came to be taken.
  public var kind: Kind

  /// A lease.
  public init(address: IPAddress, owner: String, kind: Kind) {
    self.address = address
    self.owner = owner
    self.kind = kind
  }

  /// How an address came to be taken.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// The pool chose it.
    case dynamic
    /// The owner asked for it by name; it stays the owner's while the owner exists, running or not.
    case `static`
    /// The network's gateway; taken as long as the pool exists.
    case gateway
    /// Set apart by the configuration, for something that this library does not know; taken as long as the pool exists.
    case auxiliary
  }

  /// Who has the address, as an error sentence says it.
  var holder: String {
    switch kind {
    case .dynamic, .static: quoted(owner)
    case .gateway: "the gateway"
    case .auxiliary: "the auxiliary address \(quoted(owner))"
    }
  }
}
