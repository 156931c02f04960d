import CContainerNetworking
public import NetworkPrimitives

/// One direction of a tracked connection: sender and receiver (`CTA_TUPLE_*` in
/// `linux/netfilter/nfnetlink_conntrack.h`).
public struct ConntrackTuple: Hashable, Sendable, CustomStringConvertible {
  /// The protocol.
  public var transport: TransportProtocol
  /// The sender's address.
  public var source: IPAddress
  /// The sender's port.
  public var sourcePort: UInt16
  /// The receiver's address, of the sender's family.
  public var destination: IPAddress
  /// The receiver's port.
  public var destinationPort: UInt16

  /// Makes a tuple.
  public init(
    _ transport: TransportProtocol, from source: IPAddress, _ sourcePort: UInt16, to destination: IPAddress,
    _ destinationPort: UInt16
  ) {
    self.transport = transport
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.destinationPort = destinationPort
  }

  /// As conntrack(8) prints it: `udp src=… dst=… sport=… dport=…`.
  public var description: String {
    "\(transport) src=\(source) dst=\(destination) sport=\(sourcePort) dport=\(destinationPort)"
  }

  /// Reads a nest; nil for a protocol without ports.
  init?(_ attributes: Attributes) throws(NetworkError) {
    guard let addresses = try attributes[CTA_TUPLE_IP]?.nested(),
      let ports = try attributes[CTA_TUPLE_PROTO]?.nested(),
      let number = try ports[CTA_PROTO_NUM]?.integer(UInt8.self)
    else { throw ConntrackEntry.malformed("a tuple has no addresses or no protocol") }
    guard let transport = TransportProtocol(number: number) else { return nil }
    guard let source = Self.address(addresses, CTA_IP_V4_SRC, CTA_IP_V6_SRC),
      let destination = Self.address(addresses, CTA_IP_V4_DST, CTA_IP_V6_DST), source.family == destination.family,
      let sourcePort = try ports[CTA_PROTO_SRC_PORT]?.bigEndian(UInt16.self),
      let destinationPort = try ports[CTA_PROTO_DST_PORT]?.bigEndian(UInt16.self)
    else { throw ConntrackEntry.malformed("a tuple of \(transport) lacks one of its two addresses and two ports") }
    self.init(transport, from: source, sourcePort, to: destination, destinationPort)
  }

  private static func address(_ attributes: Attributes, _ v4: ctattr_ip, _ v6: ctattr_ip) -> IPAddress? {
    if let bytes = attributes[v4]?.payload { return IPv4Address(bytes: bytes).map { .v4($0) } }
    return attributes[v6].flatMap { IPv6Address(bytes: $0.payload) }.map { .v6($0) }
  }

  func encode(_ type: ctattr_type, into body: inout PayloadWriter) {
    body.nested(type) { tuple in
      tuple.nested(CTA_TUPLE_IP) { addresses in
        let isIPv4 = source.family == .ipv4
        addresses.attribute(isIPv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, bytes: source.bytes)
        addresses.attribute(isIPv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, bytes: destination.bytes)
      }
      tuple.nested(CTA_TUPLE_PROTO) { ports in
        ports.attribute(Int(CTA_PROTO_NUM.rawValue), transport.number)
        ports.attribute(Int(CTA_PROTO_SRC_PORT.rawValue), bigEndian: sourcePort)
        ports.attribute(Int(CTA_PROTO_DST_PORT.rawValue), bigEndian: destinationPort)
      }
    }
  }
}

/// A tracked connection: the kernel translates all of its packets as it did the first (`IPCTNL_MSG_CT_NEW`). For UDP
/// and other protocols without connections, it is the traffic between two ports.
public struct ConntrackEntry: Hashable, Sendable {
  /// The first packet, before any translation.
  public var original: ConntrackTuple
  /// The answer's tuple, which shows the translation.
  public var reply: ConntrackTuple
  /// The zone of the connection (`nft … ct zone set`); 0 by default.
  public var zone: UInt16
  /// The kernel's number for it (`CTA_ID`), in network byte order. A later entry with the same tuple has another
  /// number, unless it occupies the same memory.
  var id: UInt32?

  /// Makes an entry, for requests.
  public init(original: ConntrackTuple, reply: ConntrackTuple, zone: UInt16 = 0) {
    self.original = original
    self.reply = reply
    self.zone = zone
  }

  /// Reads an `IPCTNL_MSG_CT_NEW` message; nil for a protocol without ports.
  ///
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage) throws(NetworkError) {
    guard message.type == ConntrackRequests.type(IPCTNL_MSG_CT_NEW) else {
      throw Self.malformed("its type is \(message.type); \(ConntrackRequests.type(IPCTNL_MSG_CT_NEW)) belongs")
    }
    var reader = PayloadReader(message.payload)
    try reader.skip(4)
    let attributes = try Attributes(reader.rest)
    guard let there = try attributes[CTA_TUPLE_ORIG]?.nested(), let back = try attributes[CTA_TUPLE_REPLY]?.nested()
    else { throw Self.malformed("it lacks one of its two directions") }
    guard let original = try ConntrackTuple(there), let reply = try ConntrackTuple(back) else { return nil }
    self.init(original: original, reply: reply, zone: try attributes[CTA_ZONE]?.bigEndian() ?? 0)
    id = try attributes[CTA_ID]?.integer()
  }

  static func malformed(_ reason: String) -> NetworkError {
    NetworkError(.malformedMessage, operation: "read connection tracking entry", reason: reason)
  }
}
