import CContainerNetworking
package import NetworkPrimitives

/// A hypothetical packet with partly known contents: a rule that reads an unknown part has an unknown result.
package struct NftPacket: Sendable {
  /// The family of the chains that it traverses: IPv4 and IPv6 packets also traverse those of ``NftFamily/inet``.
  package var family: AddressFamily
  /// The incoming and outgoing links; nil for none, as in packets to and from the host itself.
  package var incoming: Interface?
  package var outgoing: Interface?
  /// The state and status of connection tracking (`NF_CT_STATE_BIT`, `IPS_*`).
  package var state: NftConnectionState
  package var status: NftConnectionStatus
  package var source: IPAddress?
  package var destination: IPAddress?
  package var transport: TransportProtocol?
  package var destinationPort: UInt16?

  /// A link.
  package enum Interface: Hashable, Sendable {
    /// The link of this name.
    case named(String)
    /// A link whose name is unknown.
    case unknown
  }

  package init(
    _ family: AddressFamily, from incoming: Interface? = nil, to outgoing: Interface? = nil,
    state: NftConnectionState = .new, status: NftConnectionStatus = [], source: IPAddress? = nil,
    destination: IPAddress? = nil, transport: TransportProtocol? = nil, destinationPort: UInt16? = nil
  ) {
    self.family = family
    self.incoming = incoming
    self.outgoing = outgoing
    self.state = state
    self.status = status
    self.source = source
    self.destination = destination
    self.transport = transport
    self.destinationPort = destinationPort
  }

  /// The value of a `meta` expression; nil for unknown bytes.
  func meta(_ key: UInt32) -> [UInt8?] {
    switch key {
    case NFT_META_IIFNAME.rawValue: Self.name(incoming)
    case NFT_META_OIFNAME.rawValue: Self.name(outgoing)
    case NFT_META_NFPROTO.rawValue: [family == .ipv4 ? NftFamily.ipv4.rawValue : NftFamily.ipv6.rawValue]
    case NFT_META_PROTOCOL.rawValue: family == .ipv4 ? [0x08, 0x00] : [0x86, 0xdd]
    case NFT_META_L4PROTO.rawValue: [transport?.number]
    case NFT_META_MARK.rawValue, NFT_META_IIFGROUP.rawValue, NFT_META_OIFGROUP.rawValue: [0, 0, 0, 0]
    case NFT_META_PKTTYPE.rawValue: [0]
    case NFT_META_IFTYPE.rawValue, NFT_META_OIFTYPE.rawValue: NftRegisters.host(UInt16(1))  // ARPHRD_ETHER
    case NFT_META_IIFKIND.rawValue, NFT_META_OIFKIND.rawValue: [UInt8?](repeating: nil, count: 16)
    default: [UInt8?](repeating: nil, count: 4)
    }
  }

  /// All 16 bytes of a link's name (`IFNAMSIZ`).
  private static func name(_ interface: Interface?) -> [UInt8?] {
    switch interface {
    case .named(let name):
      let bytes = Array(name.utf8.prefix(16))
      return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    case .unknown: return [UInt8?](repeating: nil, count: 16)
    case nil: return [UInt8?](repeating: 0, count: 16)
    }
  }

  /// The value of a `payload` expression.
  func payload(base: UInt32, offset: Int, length: Int) -> [UInt8?] {
    var header: [UInt8?] = []
    switch base {
    case NFT_PAYLOAD_NETWORK_HEADER.rawValue:
      header = [UInt8?](repeating: nil, count: family == .ipv4 ? 20 : 40)
      let places = family == .ipv4 ? (source: 12, destination: 16) : (source: 8, destination: 24)
      header[0] = family == .ipv4 ? 0x45 : 0x60
      header[family == .ipv4 ? 9 : 6] = transport?.number
      for (address, place) in [(source, places.source), (destination, places.destination)] {
        guard let address, address.family == family else { continue }
        header.replaceSubrange(place..<place + address.bytes.count, with: address.bytes.map { $0 })
      }
    case NFT_PAYLOAD_TRANSPORT_HEADER.rawValue:
      header = [nil, nil, destinationPort.map { UInt8($0 >> 8) }, destinationPort.map { UInt8($0 & 0xff) }]
    default: break
    }
    return (offset..<offset + length).map { $0 < header.count ? header[$0] : nil }
  }

  /// The value of a `ct` expression.
  func conntrack(_ key: UInt32) -> [UInt8?]? {
    switch key {
    case NFT_CT_STATE.rawValue: NftRegisters.host(state.rawValue)
    case NFT_CT_STATUS.rawValue: NftRegisters.host(status.rawValue)
    case NFT_CT_MARK.rawValue: [0, 0, 0, 0]
    case NFT_CT_DIRECTION.rawValue: [state.contains(.established) ? nil : 0]
    default: nil
    }
  }
}

/// The 64 register bytes of the kernel's nftables machine; nil for unknown bytes.
struct NftRegisters {
  private var bytes = [UInt8?](repeating: nil, count: 64)

  /// The offset of a register: each of the four old registers covers four of the new ones.
  private static func place(_ register: UInt32) -> Int? {
    switch register {
    case NFT_REG_1.rawValue...NFT_REG_4.rawValue: Int(register - NFT_REG_1.rawValue) * 16
    case NFT_REG32_00.rawValue...NFT_REG32_15.rawValue: Int(register - NFT_REG32_00.rawValue) * 4
    default: nil
    }
  }

  mutating func store(_ value: [UInt8?], in register: UInt32) {
    guard let place = Self.place(register) else { return }
    for (index, byte) in value.enumerated() where place + index < bytes.count { bytes[place + index] = byte }
    // The kernel zero-fills the last four bytes, so that keys of several fields compare equal.
    for index in value.count..<(value.count + 3) & ~3 where place + index < bytes.count { bytes[place + index] = 0 }
  }

  /// Marks a register's contents as unknown.
  mutating func forget(_ register: UInt32) { store([UInt8?](repeating: nil, count: 16), in: register) }

  func load(_ register: UInt32, _ count: Int) -> [UInt8?] {
    guard let place = Self.place(register) else { return [UInt8?](repeating: nil, count: count) }
    return (place..<place + count).map { $0 < bytes.count ? bytes[$0] : nil }
  }

  static func host<Value: FixedWidthInteger>(_ value: Value) -> [UInt8?] {
    var writer = PayloadWriter()
    writer.append(value)
    return writer.bytes.map { $0 }
  }
}
