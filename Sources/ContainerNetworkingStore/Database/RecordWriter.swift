import ContainerNetworking
import NetworkPrimitives

/// Writes the records of each attach and detach like ``RecordEncoder``, but without the overhead of an `Encoder` for
/// each value, in a fifth of the time. Rare fields are left to that encoder.
///
/// Writes fields in the order of their declaration; add every new field here.
struct RecordWriter {
  private var bytes: [UInt8] = []
  /// Whether the open object is empty.
  private var isEmpty = true

  private init() { bytes.reserveCapacity(1_024) }

  static func text(_ record: Endpoint) throws -> String {
    var writer = RecordWriter()
    try writer.write(record)
    return writer.text
  }

  static func text(_ record: SandboxRecord) throws -> String {
    var writer = RecordWriter()
    try writer.write(record)
    return writer.text
  }

  static func text(_ record: PoolRecord) -> String {
    var writer = RecordWriter()
    writer.write(record)
    return writer.text
  }

  static func text(_ event: NetworkEvent) throws -> String {
    var writer = RecordWriter()
    try writer.write(event)
    return writer.text
  }

  private var text: String { String(decoding: bytes, as: UTF8.self) }

  // MARK: - Records

  private mutating func write(_ record: Endpoint) throws {
    open()
    field("id", record.id)
    field("networkID", record.networkID)
    field("networkName", record.networkName)
    field("container", record.container)
    field("sandboxID", record.sandboxID)
    field("interface", record.interface.description)
    if let name = record.hostInterface { field("hostInterface", name.description) }
    if let name = record.bridge { field("bridge", name.description) }
    field("macAddress", record.macAddress.description)
    list("addresses", record.addresses) { $0.value($1) }
    list("staticAddresses", record.staticAddresses) { $0.value($1) }
    if let others = record.otherAddresses { list("otherAddresses", others) { $0.value($1) } }
    if let others = record.otherPorts { list("otherPorts", others) { $0.value($1.description) } }
    if let others = record.otherBridges { list("otherBridges", others) { $0.value($1.description) } }
    list("gateways", record.gateways) { $0.value($1) }
    field("gatewayPriority", record.gatewayPriority)
    list("aliases", record.aliases) { $0.value($1) }
    if let labels = record.labels { try rare("labels", labels) }
    if let announcesToAll = record.announcesToAll { field("announcesToAll", announcesToAll) }
    if let forwarding = record.forwarding { list("forwarding", forwarding) { $0.value($1) } }
    list("ports", record.ports) { $0.write($1) }
    if let change = record.portChange { try rare("portChange", change) }
    field("phase", record.phase.rawValue)
    field("owner", record.owner)
    close()
  }

  private mutating func write(_ port: PublishedPort) {
    open()
    if let address = port.hostAddress {
      name("hostAddress")
      value(address)
    }
    field("hostPort", Int(port.hostPort))
    field("containerPort", Int(port.containerPort))
    field("transport", port.transport.description)
    field("isEphemeral", port.isEphemeral)
    if let addresses = port.translated { list("translated", addresses) { $0.value($1) } }
    if let addresses = port.forwarded { list("forwarded", addresses) { $0.value($1) } }
    close()
  }

  private mutating func write(_ record: SandboxRecord) throws {
    open()
    field("container", record.container)
    field("mode", record.mode.description)
    field("sandboxID", record.sandboxID)
    if let path = record.namespacePath { field("namespacePath", path) }
    if let inode = record.namespaceInode { field("namespaceInode", inode) }
    if let cookie = record.namespaceCookie { field("namespaceCookie", cookie) }
    if let viewpoint = record.viewpoint { field("viewpoint", viewpoint) }
    field("ownsNamespace", record.ownsNamespace)
    if record.warnings.isEmpty {
      list("warnings", record.warnings) { _, _ in }
    } else {
      try rare("warnings", record.warnings)
    }
    if let names = record.names { try rare("names", names) }
    if let path = record.filesDirectory { field("filesDirectory", path) }
    if let keepsAddresses = record.keepsAddresses { field("keepsAddresses", keepsAddresses) }
    if let handsOutLink = record.handsOutLink { field("handsOutLink", handsOutLink) }
    field("phase", record.phase.rawValue)
    field("owner", record.owner)
    close()
  }

  private mutating func write(_ record: PoolRecord) {
    open()
    field("networkID", record.networkID)
    field("family", Int(record.family.rawValue))
    if let cursor = record.cursor {
      name("cursor")
      value(cursor)
    }
    // One text, as in the record's own `encode(to:)`.
    name("resting")
    bytes.append(UInt8(ascii: "\""))
    for (index, address) in record.resting.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: " ")) }
      digits(of: address)
    }
    bytes.append(UInt8(ascii: "\""))
    close()
  }

  private mutating func write(_ event: NetworkEvent) throws {
    open()
    field("action", event.action.rawValue)
    field("time", event.time.nanoseconds)
    field("networkID", event.networkID)
    field("network", event.network)
    if let container = event.container { field("container", container) }
    if let ports = event.ports { list("ports", ports) { $0.write($1) } }
    close()
  }

  // MARK: - Parts

  private mutating func open() {
    bytes.append(UInt8(ascii: "{"))
    isEmpty = true
  }

  private mutating func close() {
    bytes.append(UInt8(ascii: "}"))
    isEmpty = false
  }

  private mutating func name(_ name: String) {
    if !isEmpty { bytes.append(UInt8(ascii: ",")) }
    isEmpty = false
    bytes.append(UInt8(ascii: "\""))
    bytes.append(contentsOf: name.utf8)
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
  }

  private mutating func field(_ name: String, _ text: String) {
    self.name(name)
    value(text)
  }

  private mutating func field(_ name: String, _ isTrue: Bool) {
    self.name(name)
    bytes.append(contentsOf: (isTrue ? "true" : "false").utf8)
  }

  private mutating func field(_ name: String, _ number: some BinaryInteger) {
    self.name(name)
    digits(of: number)
  }

  private mutating func list<Element>(
    _ name: String, _ elements: [Element], _ write: (inout RecordWriter, Element) -> Void
  ) {
    self.name(name)
    bytes.append(UInt8(ascii: "["))
    for (index, element) in elements.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      write(&self, element)
    }
    bytes.append(UInt8(ascii: "]"))
    isEmpty = false
  }

  /// Writes a rare field.
  private mutating func rare(_ name: String, _ value: some Encodable) throws {
    self.name(name)
    bytes.append(contentsOf: try RecordEncoder.text(value).utf8)
  }

  private mutating func value(_ text: String) {
    guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
      bytes.append(contentsOf: RecordEncoder.literal(text).utf8)
      return
    }
    bytes.append(UInt8(ascii: "\""))
    bytes.append(contentsOf: text.utf8)
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func value(_ address: IPAddress) {
    bytes.append(UInt8(ascii: "\""))
    digits(of: address)
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func value(_ address: InterfaceAddress) {
    bytes.append(UInt8(ascii: "\""))
    digits(of: address.address)
    bytes.append(UInt8(ascii: "/"))
    digits(of: address.prefixLength)
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func digits(of address: IPAddress) {
    guard case .v4(let ipv4) = address else {
      bytes.append(contentsOf: address.description.utf8)
      return
    }
    for part: UInt32 in 0..<4 {
      if part > 0 { bytes.append(UInt8(ascii: ".")) }
      digits(of: ipv4.rawValue >> (24 - 8 * part) & 0xff)
    }
  }

  private mutating func digits(of number: some BinaryInteger) {
    guard number >= 0, let small = UInt32(exactly: number) else {
      bytes.append(contentsOf: String(number).utf8)
      return
    }
    var divisor: UInt32 = 1
    while small / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(small / divisor % 10))
      divisor /= 10
    }
  }
}
