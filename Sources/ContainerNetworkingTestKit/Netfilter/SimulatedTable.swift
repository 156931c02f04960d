/// An nftables table. Objects keep the attributes that they were made with, as bytes.
struct SimulatedTable {
  var family: UInt8
  var name: String
  var handle: UInt64
  var attributes: [UInt8]
  var chains: [SimulatedChain] = []
  var sets: [SimulatedSet] = []
}

/// A chain and its rules, in order.
struct SimulatedChain {
  var name: String
  var handle: UInt64
  var attributes: [UInt8]
  var rules: [SimulatedRule] = []
}

/// A rule.
struct SimulatedRule {
  var handle: UInt64
  var attributes: [UInt8]
  /// The chains that it jumps to and the sets that it looks up.
  var references: NftReferences
}

/// A set or map and its elements, in order.
struct SimulatedSet {
  var name: String
  var handle: UInt64
  /// The number that it has within the batch that made it.
  var id: UInt32
  var keyLength: UInt32
  var isMap: Bool
  /// Bytes of a map's values; nil for verdicts.
  var dataLength: UInt32?
  var attributes: [UInt8]
  var elements: [SimulatedElement] = []
}

/// An element: what it is known by, and all of its attributes.
struct SimulatedElement {
  var key: [UInt8]
  var value: [UInt8]?
  var attributes: [UInt8]
  var references: NftReferences
}

/// What a rule or an element refers to by name.
struct NftReferences: Hashable {
  var chains: Set<String> = []
  var sets: Set<String> = []
}
