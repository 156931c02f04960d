public import NetworkPrimitives

/// A block of addresses that is already in use, and its holder.
public struct ClaimedSubnet: Hashable, Sendable, Codable {
  /// The block.
  public var subnet: Subnet
  /// The holder, as an error sentence names it: `network "web"`.
  public var holder: String

  /// A claim.
  public init(_ subnet: Subnet, holder: String) {
    self.subnet = subnet
    self.holder = holder
  }
}

extension Subnet {
  /// One fault for each claim that this block overlaps, naming both.
  func overlapFaults(with claims: some Sequence<ClaimedSubnet>) -> [NetworkError] {
    claims.filter { $0.subnet.overlaps(self) }.map {
      NetworkError(
        .inUse, operation: "check subnet \(self)",
        reason: "\(self) overlaps \($0.subnet) of \($0.holder); use another block")
    }
  }
}
