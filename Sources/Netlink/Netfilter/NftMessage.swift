import CContainerNetworking
import NetworkPrimitives

/// The family of an nftables table (`NFPROTO_*` in `linux/netfilter.h`).
public enum NftFamily: UInt8, Hashable, Sendable, CustomStringConvertible {
  /// IPv4 and IPv6 in one table.
  case inet = 1
  /// IPv4 only; nft(8) says `ip`.
  case ipv4 = 2
  /// ARP.
  case arp = 3
  /// One interface's ingress and egress.
  case netdev = 5
  /// Frames that a bridge forwards.
  case bridge = 7
  /// IPv6 only; nft(8) says `ip6`.
  case ipv6 = 10

  /// The name in nft(8).
  public var description: String {
    switch self {
    case .inet: "inet"
    case .ipv4: "ip"
    case .arp: "arp"
    case .netdev: "netdev"
    case .bridge: "bridge"
    case .ipv6: "ip6"
    }
  }
}

/// `struct nfgenmsg` and message types of `linux/netfilter/nfnetlink.h`.
enum NftMessage {
  static func type(_ message: nf_tables_msg_types) -> UInt16 {
    UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
  }

  /// A body with its header. The resource id is 0 except in the messages that delimit a batch.
  static func body(family: UInt8, resource: UInt16 = 0) -> PayloadWriter {
    var body = PayloadWriter(capacity: 192)
    body.append(family)
    body.append(UInt8(0))
    body.append(resource.bigEndian)
    return body
  }

  /// The family and attributes of a message that must be of type `message`.
  static func read(
    _ message: NetlinkMessage, _ type: nf_tables_msg_types, _ what: String
  ) throws(NetworkError) -> (family: NftFamily, attributes: Attributes) {
    guard message.type == Self.type(type) else {
      throw malformed(what, "its type is \(message.type); \(Self.type(type)) belongs")
    }
    var reader = PayloadReader(message.payload)
    let raw = try reader.read(UInt8.self)
    try reader.skip(3)
    guard let family = NftFamily(rawValue: raw) else { throw malformed(what, "family \(raw) is not known") }
    return (family, try Attributes(reader.rest))
  }

  static func malformed(_ what: String, _ reason: String) -> NetworkError {
    NetworkError(.malformedMessage, operation: "read nftables \(what)", reason: reason)
  }

  /// Checks the name of a table, chain or set against the limits of nft(8) and the kernel (`NFT_NAME_MAXLEN`).
  static func check(name: String, of what: String) throws(NetworkError) {
    let bytes = Array(name.utf8)
    let letters = bytes.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2e, 0x2d, 0x2f: true
      default: false
      }
    }
    let first = bytes.first.map { !(0x30...0x39).contains($0) && $0 != 0x2d && $0 != 0x2f } ?? false
    guard letters, first, bytes.count < 256 else {
      throw NetworkError(
        .invalidValue, operation: "name nftables \(what) \"\(name)\"",
        reason: "a name is 1 to 255 letters, digits and \"_.-/\", and starts with a letter, \"_\" or \".\"")
    }
  }
}

extension PayloadWriter {
  /// Attributes by the C enumerator of their type.
  mutating func attribute<Kind: RawRepresentable<UInt32>>(_ type: Kind, be32 value: UInt32) {
    attribute(Int(type.rawValue), bigEndian: value)
  }
  mutating func attribute<Kind: RawRepresentable<UInt32>>(_ type: Kind, be64 value: UInt64) {
    attribute(Int(type.rawValue), bigEndian: value)
  }
  mutating func attribute<Kind: RawRepresentable<UInt32>>(_ type: Kind, string: String) {
    attribute(Int(type.rawValue), string: string)
  }
  mutating func attribute<Kind: RawRepresentable<UInt32>>(_ type: Kind, bytes: some Collection<UInt8>) {
    attribute(Int(type.rawValue), bytes: bytes)
  }
  mutating func nested<Kind: RawRepresentable<UInt32>, Failure: Error>(
    _ type: Kind, _ body: (inout PayloadWriter) throws(Failure) -> Void
  ) throws(Failure) {
    try nested(Int(type.rawValue), body)
  }
}

extension Attributes {
  subscript<Kind: RawRepresentable<UInt32>>(_ type: Kind) -> Attribute? { self[type: Int(type.rawValue)] }

  /// A mandatory name.
  func name<Kind: RawRepresentable<UInt32>>(_ type: Kind, of what: String) throws(NetworkError) -> String {
    guard let value = self[type] else { throw NftMessage.malformed(what, "attribute \(type.rawValue) is missing") }
    return value.string
  }

  func be32<Kind: RawRepresentable<UInt32>>(_ type: Kind) throws(NetworkError) -> UInt32? {
    guard let value = self[type] else { return nil }
    return try value.bigEndian(UInt32.self)
  }

  func be64<Kind: RawRepresentable<UInt32>>(_ type: Kind) throws(NetworkError) -> UInt64? {
    guard let value = self[type] else { return nil }
    return try value.bigEndian(UInt64.self)
  }
}
