import CContainerNetworking
public import NetworkPrimitives

/// One step of a packet that is traced through nftables (`NFT_MSG_TRACE`, `enum nft_trace_attributes` of
/// `linux/netfilter/nf_tables.h`): a rule that decided, the end of a chain, or a base chain's policy. Rules that did
/// not match are not reported.
public struct NftTrace: Hashable, Sendable {
  /// The table of the step.
  public var table: NftTable
  /// The chain.
  public var chain: String
  /// The kind of step.
  public var kind: Kind
  /// The decision of the rule or of the chain's policy.
  public var decision: Decision
  /// A number that the steps of one packet share in one part of the kernel; it may be reused for a later packet.
  public var packetID: UInt32
  /// Index of the incoming link.
  public var incomingLink: Int32?
  /// Index of the outgoing link.
  public var outgoingLink: Int32?
  /// Its mark; nil for 0.
  public var mark: UInt32?
  /// Its headers; only with the first step in each base chain.
  public var packet: TracedPacket?

  /// The kind of step.
  public enum Kind: Hashable, Sendable {
    /// At the rule of this handle, which ended with a verdict.
    case rule(UInt64)
    /// At the end of a regular chain.
    case end
    /// At the end of a base chain.
    case policy
  }

  /// The decision on the packet.
  public enum Decision: Hashable, Sendable {
    /// A verdict of nftables.
    case verdict(NftVerdict)
    /// The packet waits for a program, at the queue of this number (`NF_QUEUE`).
    case queue(UInt16)
    /// Another part of the kernel has taken the packet (`NF_STOLEN`).
    case stolen
    /// A code without a name in this library.
    case other(Int32)
  }

  /// The multicast group (`NFNLGRP_NFTRACE`).
  public static let group = Int32(NFNLGRP_NFTRACE.rawValue)

  /// Reads a message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    let (family, attributes) = try NftMessage.read(message, NFT_MSG_TRACE, "trace")
    table = NftTable(family: family, name: try attributes.name(NFTA_TRACE_TABLE, of: "trace"))
    chain = try attributes.name(NFTA_TRACE_CHAIN, of: "trace")
    packetID = try attributes.be32(NFTA_TRACE_ID) ?? 0
    switch try attributes.be32(NFTA_TRACE_TYPE) {
    case NFT_TRACETYPE_RULE.rawValue: kind = .rule(try attributes.be64(NFTA_TRACE_RULE_HANDLE) ?? 0)
    case NFT_TRACETYPE_RETURN.rawValue: kind = .end
    case NFT_TRACETYPE_POLICY.rawValue: kind = .policy
    case let other: throw NftMessage.malformed("trace", "its type, \(other.map { "\($0)" } ?? "missing"), is not known")
    }
    if let policy = try attributes.be32(NFTA_TRACE_POLICY) {
      decision = try Decision(code: policy, nil)
    } else if let verdict = attributes[NFTA_TRACE_VERDICT] {
      let fields = try verdict.nested()
      guard let code = try fields.be32(NFTA_VERDICT_CODE) else {
        throw NftMessage.malformed("trace", "its verdict has no code")
      }
      decision = try Decision(code: code, verdict)
    } else {
      decision = .verdict(.continue)
    }
    incomingLink = try attributes.be32(NFTA_TRACE_IIF).map { Int32(truncatingIfNeeded: $0) }
    outgoingLink = try attributes.be32(NFTA_TRACE_OIF).map { Int32(truncatingIfNeeded: $0) }
    mark = try attributes.be32(NFTA_TRACE_MARK)
    if let network = attributes[NFTA_TRACE_NETWORK_HEADER]?.payload {
      packet = TracedPacket(
        link: attributes[NFTA_TRACE_LL_HEADER]?.payload ?? [], network: network,
        transport: attributes[NFTA_TRACE_TRANSPORT_HEADER]?.payload ?? [])
    }
  }
}

extension NftTrace.Decision {
  /// The lower half of a netfilter code is the verdict, the upper half its argument (`linux/netfilter.h`).
  fileprivate init(code: UInt32, _ verdict: Attribute?) throws(NetworkError) {
    switch code {
    case 0: self = .verdict(.drop)
    case 1: self = .verdict(.accept)
    case 2: self = .stolen
    case _ where code & 0xff == 3: self = .queue(UInt16(truncatingIfNeeded: code >> 16))
    default:
      let negative = Int32(bitPattern: code)
      let known = [NFT_CONTINUE, NFT_BREAK, NFT_JUMP, NFT_GOTO, NFT_RETURN].map(\.rawValue)
      guard known.contains(negative), negative != NFT_BREAK.rawValue, let verdict else {
        self = .other(negative)
        return
      }
      self = .verdict(try NftVerdict(verdict))
    }
  }
}

/// The headers of a packet as the kernel's trace reports them: the first bytes of each, possibly truncated. Missing
/// fields are nil.
public struct TracedPacket: Hashable, Sendable {
  /// Hardware address of the sender, if the link has hardware addresses.
  public var sourceMAC: MACAddress?
  /// Hardware address of the receiver.
  public var destinationMAC: MACAddress?
  /// The sender.
  public var source: IPAddress?
  /// The receiver.
  public var destination: IPAddress?
  /// The protocol above IP: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6.
  public var transport: UInt8?
  /// The sender's port; the identifier of an echo.
  public var sourcePort: UInt16?
  /// The receiver's port; the identifier of an echo.
  public var destinationPort: UInt16?
  /// Distinguishes the packet from others of its flow, and survives translation. For TCP: sequence and acknowledgement
  /// numbers and flags. For ICMP: type and sequence number. For UDP: the length.
  public var signature: [UInt8]
  /// Flags of TCP (RFC 9293, 3.1); 2 is SYN, 4 RST, 16 ACK.
  public var flags: UInt8?
  /// Type of ICMP or ICMPv6.
  public var icmpType: UInt8?
  /// Whether it requests the receiver's hardware address: by ARP, or by a neighbour solicitation to that address's
  /// group.
  public var asksForNeighbor: Bool

  /// Reads headers; fields of unknown protocols stay nil.
  public init(link: ArraySlice<UInt8>, network: ArraySlice<UInt8>, transport: ArraySlice<UInt8>) {
    let (link, network, bytes) = (Array(link), Array(network), Array(transport))
    signature = []
    asksForNeighbor = false
    if link.count >= 14 {
      destinationMAC = MACAddress(bytes: link[0..<6])
      sourceMAC = MACAddress(bytes: link[6..<12])
    }
    switch network.first.map({ $0 >> 4 }) {
    case 4 where network.count >= 20:
      source = IPAddress(bytes: network[12..<16])
      destination = IPAddress(bytes: network[16..<20])
      self.transport = network[9]
    case 6 where network.count >= 40:
      source = IPAddress(bytes: network[8..<24])
      destination = IPAddress(bytes: network[24..<40])
      // After extension headers the kernel reports the position of the transport header, but not its protocol.
      self.transport = [0, 43, 44, 50, 51, 60, 135].contains(network[6]) ? nil : network[6]
    case 0 where network.count >= 28 && Array(network[0..<8]) == [0, 1, 8, 0, 6, 4, 0, 1]:
      // ARP of IPv4 over Ethernet (RFC 826).
      source = IPAddress(bytes: network[14..<18])
      destination = IPAddress(bytes: network[24..<28])
      asksForNeighbor = true
      return
    default: return
    }
    let word = { (offset: Int) in UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
    switch self.transport {
    case 6 where bytes.count >= 14:
      (sourcePort, destinationPort, flags) = (word(0), word(2), bytes[13] & 0x3f)
      signature = Array(bytes[4..<12]) + [bytes[13] & 0x3f]
    case 17 where bytes.count >= 6:
      (sourcePort, destinationPort) = (word(0), word(2))
      signature = Array(bytes[4..<6])
    case 132 where bytes.count >= 8:
      (sourcePort, destinationPort) = (word(0), word(2))
      signature = Array(bytes[4..<8])
    case 1 where bytes.count >= 8, 58 where bytes.count >= 8:
      icmpType = bytes[0]
      asksForNeighbor = self.transport == 58 && bytes[0] == 135
      signature = [bytes[0], bytes[1], bytes[6], bytes[7]]
      if [0, 8, 128, 129].contains(bytes[0]) { (sourcePort, destinationPort) = (word(4), word(4)) }
    default: break
    }
  }
}
