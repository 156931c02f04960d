import NetworkPrimitives

/// A pool is written down with each address that is given out or comes back, and there may be 64 addresses that rest: they
/// are one text, which takes a tenth of the time of as many values.
extension PoolRecord {
  private enum CodingKeys: String, CodingKey { case networkID, family, cursor, resting }

  /// Decodes a record, also one of before the addresses were one text.
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

  /// Encodes it, what rests as one text with a space between each two addresses.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(networkID, forKey: .networkID)
    try fields.encode(family, forKey: .family)
    try fields.encodeIfPresent(cursor, forKey: .cursor)
    try fields.encode(resting.map(\.description).joined(separator: " "), forKey: .resting)
  }
}
