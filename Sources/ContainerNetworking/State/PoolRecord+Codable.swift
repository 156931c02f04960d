import NetworkPrimitives

/// A pool is stored with each allocation and release, and may have 64 resting addresses. As one text they take a tenth
/// of the time of separate values.
extension PoolRecord {
  private enum CodingKeys: String, CodingKey { case networkID, family, cursor, resting }

  /// Decodes a record, also in the older form with separate addresses.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    networkID = try fields.decode(String.self, forKey: .networkID)
    family = try fields.decode(AddressFamily.self, forKey: .family)
    cursor = try fields.decodeIfPresent(IPAddress.self, forKey: .cursor)
    if let text = try? fields.decode(String.self, forKey: .resting) {
      resting = try text.split(separator: " ").map { try IPAddress(String($0)) }
    } else {
      resting = try fields.decode([IPAddress].self, forKey: .resting)
    }
  }

  /// Encodes it, the resting addresses as one text separated by spaces.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(networkID, forKey: .networkID)
    try fields.encode(family, forKey: .family)
    try fields.encodeIfPresent(cursor, forKey: .cursor)
    try fields.encode(resting.map(\.description).joined(separator: " "), forKey: .resting)
  }
}
