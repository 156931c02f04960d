import ContainerNetworking

/// The wire format, and the objects that are read from messages.
enum WireEntries {
  static func messages(_ bytes: [UInt8]) throws(Violation) {
    let parsed = try Violation.unlessMalformed { () throws(NetworkError) in try NetlinkMessage.parse(bytes[...]) }
    guard let messages = parsed else { return }
    var writer = PayloadWriter()
    for message in messages { message.encode(into: &writer) }
    let again = try Violation.unlessMalformed { () throws(NetworkError) in
      try NetlinkMessage.parse(writer.bytes[...])
    }
    try Violation.unless(again == messages, "messages differ when written and read again")
  }

  static func attributes(_ bytes: ArraySlice<UInt8>, depth: Int) throws(Violation) {
    guard let attributes = try Violation.unlessMalformed({ () throws(NetworkError) in try Attributes(bytes) }) else {
      return
    }
    var writer = PayloadWriter()
    for attribute in attributes {
      writer.attribute(attribute.type | (attribute.isNested ? 0x8000 : 0), bytes: attribute.payload)
      _ = attribute.string
      _ = try Violation.unlessMalformed { () throws(NetworkError) in try attribute.integer(UInt8.self) }
      _ = try Violation.unlessMalformed { () throws(NetworkError) in try attribute.bigEndian(UInt64.self) }
      if depth < 8 { try self.attributes(attribute.payload, depth: depth + 1) }
    }
    let again = try Violation.unlessMalformed { () throws(NetworkError) in try Attributes(writer.bytes[...]) }
    try Violation.unless(again == attributes, "attributes differ when written and read again")
  }

  /// The first two bytes are the message's flags.
  static func acknowledgement(_ bytes: [UInt8]) throws(Violation) {
    guard bytes.count >= 2 else { return }
    let flags = MessageFlags(rawValue: UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
    let message = NetlinkMessage(type: ControlMessage.error, flags: flags, payload: bytes[2...])
    _ = try Violation.unlessMalformed { () throws(NetworkError) in try Acknowledgement(done: message) }
    let read = try Violation.unlessMalformed { () throws(NetworkError) in try Acknowledgement(error: message) }
    guard var read else { return }
    // A sentence ends at its first NUL; an empty one is none.
    if read.message?.isEmpty == true { read.message = nil }
    let written = read.encode(for: message, portID: 1)
    let again = try Violation.unlessMalformed { () throws(NetworkError) in try Acknowledgement(error: written) }
    try Violation.unless(again == read, "the acknowledgement differs when written and read again")
  }

  static func read(
    _ bytes: [UInt8], _ type: UInt16 = 0, _ body: (NetlinkMessage) throws(NetworkError) -> Void
  ) throws(Violation) {
    _ = try Violation.unlessMalformed { () throws(NetworkError) in
      try body(NetlinkMessage(type: type, payload: bytes[...]))
    }
  }

  static func elements(_ bytes: [UInt8]) throws(Violation) {
    guard let first = bytes.first else { return }
    let set = sets[Int(first) % sets.count]
    let message = NetlinkMessage(type: 0xa0c, payload: bytes[1...])
    let elements = try Violation.unlessMalformed { () throws(NetworkError) in
      // Twice: ranges are put together over messages.
      try NftElement.list([message, message], of: set)
    }
    for element in elements ?? [] {
      let size = set.key.reduce(0) { $0 + $1.length }
      try Violation.unless(
        element.key.fields.reduce(0) { $0 + $1.count } == size, "a key of another length than \(size)")
    }
  }

  private static let table = NftTable(family: .inet, name: "t")
  private static let sets = [
    NftSet(table: table, name: "addresses", key: [.ipv4Address]),
    NftSet(table: table, name: "ranges", key: [.ipv4Address], flags: .interval),
    NftSet(table: table, name: "ports", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port])),
    NftSet(table: table, name: "verdicts", key: [.interfaceName], data: .verdict),
    NftSet(table: table, name: "wide", key: [.ipv6Address, .interfaceName], flags: .interval),
  ]
}
