/// An nftables table. Objects keep the attributes of their creation, as bytes.
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
  /// The chains and sets to which it refers.
  var references: NftReferences
}

/// A set or map and its elements, in order.
struct SimulatedSet {
  var name: String
  var handle: UInt64
  /// Its number within the batch that created it.
  var id: UInt32
  var keyLength: UInt32
  var isMap: Bool
  /// The length of a map's values in bytes; nil for verdicts.
  var dataLength: UInt32?
  var attributes: [UInt8]
  var elements: [SimulatedElement] = []
}

/// An element: its identity, and all of its attributes.
struct SimulatedElement {
  var key: [UInt8]
  var value: [UInt8]?
  var attributes: [UInt8]
  var references: NftReferences
}

/// The names to which a rule or an element refers.
struct NftReferences: Hashable {
  var chains: Set<String> = []
  var sets: Set<String> = []
}
