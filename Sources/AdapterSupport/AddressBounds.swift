package import ContainerNetworking

/// A range from one address to another, as the smallest block that has both and the addresses in it that are not meant.
package struct AddressBounds {
  package var start: IPAddress
  package var end: IPAddress
  package var block: Subnet

  /// Of those a block may have at the most; each is written down.
  private static let limit: UInt128 = 256

  package init?(_ start: IPAddress, _ end: IPAddress, in subnet: Subnet) {
    guard subnet.contains(start), subnet.contains(end), start <= end else { return nil }
    (self.start, self.end) = (start, end)
    var block: Subnet?
    for length in stride(from: subnet.family == .ipv4 ? 32 : 128, through: subnet.prefixLength, by: -1) {
      guard let candidate = try? Subnet(containing: start, prefixLength: length) else { return nil }
      block = candidate
      if candidate.contains(end) { break }
    }
    guard let block else { return nil }
    self.block = block
  }

  /// The addresses of the block outside the range; nil where there are too many.
  package var spare: [IPAddress]? {
    let before = start.rawValue - block.first.rawValue
    let after = block.last.rawValue - end.rawValue
    guard before + after <= Self.limit else { return nil }
    let offsets = Array(0..<before) + (0..<after).map { block.last.rawValue - block.first.rawValue - $0 }
    // The pool has no use for the network's own address, nor for its broadcast address.
    return offsets.compactMap { block.address(at: $0) }
  }
}
