public import NetworkPrimitives

/// A block of addresses that somebody has already, and who.
public struct ClaimedSubnet: Hashable, Sendable, Codable {
  /// The block.
  public var subnet: Subnet
  /// Who has it, as an error sentence names them: `network "web"`.
  public var holder: String

  /// A claim.
  public init(_ subnet: Subnet, holder: String) {
    self.subnet = subnet
    self.holder = holder
  }
}

extension Subnet {
  /// A fault for each claim that this block overlaps, naming both.
  func overlapFaults(with claims: some Sequence<ClaimedSubnet>) -> [NetworkError] {
    claims.filter { $0.subnet.overlaps(self) }.map {
      NetworkError(
        .inUse, operation: "check subnet \(self)",
        reason: "\(self) overlaps \($0.subnet) of \($0.holder); use another block")
    }
  }
}
