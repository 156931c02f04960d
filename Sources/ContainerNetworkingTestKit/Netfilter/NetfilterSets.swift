import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// A transaction's changes of sets, maps and their elements.
extension SimulatedNamespace {
  mutating func newSet(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_SET_TABLE))
    guard let name = message.name(number(NFTA_SET_NAME)),
      let keyLength: UInt32 = try message.attributes[type: number(NFTA_SET_KEY_LEN)]?.bigEndian(),
      (1...64).contains(keyLength)  // NFT_DATA_VALUE_MAXLEN
    else { throw refusal(.invalidArgument) }
    if tables[table].sets.contains(where: { $0.name == name }) {
      if message.flags.contains(.exclusive) { throw refusal(.fileExists) }
      return
    }
    guard message.flags.contains(.create) else { throw refusal(.noSuchFileOrDirectory) }
    // An anonymous set's name is a pattern.
    var given = name
    if name.hasSuffix("%d") {
      var position = 0
      while tables[table].sets.contains(where: { $0.name == "\(name.dropLast(2))\(position)" }) { position += 1 }
      given = "\(name.dropLast(2))\(position)"
    }
    let flags: UInt32 = try message.attributes[type: number(NFTA_SET_FLAGS)]?.bigEndian() ?? 0
    let id: UInt32 = try message.attributes[type: number(NFTA_SET_ID)]?.bigEndian() ?? 0
    let isMap = flags & NFT_SET_MAP.rawValue != 0
    let dataLength = isMap ? try Self.dataLength(message) : nil
    var attributes = PayloadWriter()
    attributes.attribute(number(NFTA_SET_TABLE), string: tables[table].name)
    attributes.attribute(number(NFTA_SET_NAME), string: given)
    attributes.append(
      contentsOf: message.bytes(without: [
        number(NFTA_SET_TABLE), number(NFTA_SET_NAME), number(NFTA_SET_ID), number(NFTA_SET_HANDLE),
      ]))
    let set = SimulatedSet(
      name: given, handle: makeHandle(), id: id, keyLength: keyLength, isMap: isMap, dataLength: dataLength,
      attributes: attributes.bytes)
    tables[table].sets.append(set)
    changes.append(tables[table].describe(set, NFT_MSG_NEWSET))
  }

  /// The length of a map's values; nil for verdicts.
  private static func dataLength(_ message: NetfilterMessage) throws(NetworkError) -> UInt32? {
    let type: UInt32? = try message.attributes[type: number(NFTA_SET_DATA_TYPE)]?.bigEndian()
    guard let type else { throw refusal(.invalidArgument) }
    if type == NFT_DATA_VERDICT.rawValue { return nil }
    let length: UInt32? = try message.attributes[type: number(NFTA_SET_DATA_LEN)]?.bigEndian()
    guard let length, (1...64).contains(length) else { throw refusal(.invalidArgument) }
    return length
  }

  mutating func deleteSet(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_SET_TABLE))
    let name = message.name(number(NFTA_SET_NAME))
    let handle = try message.handle(number(NFTA_SET_HANDLE))
    let index = tables[table].sets.firstIndex { handle == nil ? $0.name == name : $0.handle == handle }
    guard let index else { throw refusal(.noSuchFileOrDirectory) }
    let found = tables[table].sets[index].name
    let isUsed = references(in: table).contains { $0.sets.contains(found) }
    if isUsed { throw refusal(.resourceBusy) }
    changes.append(tables[table].describe(tables[table].sets.remove(at: index), NFT_MSG_DELSET))
  }

  /// The set of a list of elements, by name or by its number in this batch.
  func set(_ message: NetfilterMessage, in table: Int) throws(NetworkError) -> Int {
    let name = message.name(number(NFTA_SET_ELEM_LIST_SET))
    let id: UInt32 = try message.attributes[type: number(NFTA_SET_ELEM_LIST_SET_ID)]?.bigEndian() ?? 0
    let sets = tables[table].sets
    let index = sets.firstIndex { $0.name == name } ?? sets.firstIndex { id != 0 && $0.id == id }
    guard let index else { throw refusal(.noSuchFileOrDirectory) }
    return index
  }

  mutating func newElements(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_SET_ELEM_LIST_TABLE))
    let set = try set(message, in: table)
    guard let list = try message.attributes[type: number(NFTA_SET_ELEM_LIST_ELEMENTS)]?.nested() else {
      throw refusal(.invalidArgument)
    }
    var content = tables[table].sets[set]
    for item in list {
      let element = try SimulatedElement(item, of: content)
      if content.isMap, element.value == nil, !element.isIntervalEnd { throw refusal(.invalidArgument) }
      if !content.isMap, element.value != nil { throw refusal(.invalidArgument) }
      try check(element.references, in: table)
      if let existing = content.elements.first(where: { $0.key == element.key }) {
        if message.flags.contains(.exclusive) { throw refusal(.fileExists) }
        if existing.value != element.value { throw refusal(.resourceBusy) }
        continue
      }
      content.elements.append(element)
      changes.append(tables[table].describe([element], of: content, NFT_MSG_NEWSETELEM))
    }
    tables[table].sets[set] = content
  }

  mutating func deleteElements(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_SET_ELEM_LIST_TABLE))
    let set = try set(message, in: table)
    guard let list = try message.attributes[type: number(NFTA_SET_ELEM_LIST_ELEMENTS)]?.nested() else {
      for element in tables[table].sets[set].elements {
        changes.append(tables[table].describe([element], of: tables[table].sets[set], NFT_MSG_DELSETELEM))
      }
      tables[table].sets[set].elements = []
      return
    }
    for item in list {
      let element = try SimulatedElement(item, of: tables[table].sets[set])
      guard let index = tables[table].sets[set].elements.firstIndex(where: { $0.key == element.key }) else {
        throw refusal(.noSuchFileOrDirectory)
      }
      let removed = tables[table].sets[set].elements.remove(at: index)
      changes.append(tables[table].describe([removed], of: tables[table].sets[set], NFT_MSG_DELSETELEM))
    }
  }

  /// The numbers of sets are only valid within their batch.
  mutating func forgetBatchIDs() {
    for table in tables.indices {
      for set in tables[table].sets.indices { tables[table].sets[set].id = 0 }
    }
  }
}

extension SimulatedElement {
  /// Reads an element of a list; key and data must have the set's lengths.
  init(_ item: Attribute, of set: SimulatedSet) throws(NetworkError) {
    let parts = try item.nested()
    try parts.check(NetfilterPolicy.element)
    guard let value = try Self.value(parts[type: number(NFTA_SET_ELEM_KEY)], length: set.keyLength) else {
      throw refusal(.invalidArgument)
    }
    let end = try Self.value(parts[type: number(NFTA_SET_ELEM_KEY_END)], length: set.keyLength)
    let flags: UInt32 = try parts[type: number(NFTA_SET_ELEM_FLAGS)]?.bigEndian() ?? 0
    // The identity of an element: its key, the key's end, and whether it ends an interval itself.
    key = Array(value) + (end ?? []) + [UInt8(flags & 1)]
    let data = parts[type: number(NFTA_SET_ELEM_DATA)]
    if let data, let length = set.dataLength { _ = try Self.value(data, length: length) }
    if let data, set.isMap, set.dataLength == nil {
      guard try data.nested()[type: number(NFTA_DATA_VERDICT)] != nil else { throw refusal(.invalidArgument) }
    }
    self.value = data.map { Array($0.payload) }
    attributes = Array(item.payload)
    references = NftReferences()
    try references.add(verdict: data)
  }

  private static func value(_ attribute: Attribute?, length: UInt32) throws(NetworkError) -> ArraySlice<UInt8>? {
    guard let attribute else { return nil }
    guard let value = try attribute.nested()[type: number(NFTA_DATA_VALUE)]?.payload, value.count == Int(length) else {
      throw refusal(.invalidArgument)
    }
    return value
  }

  var isIntervalEnd: Bool { key.last == 1 }
}
