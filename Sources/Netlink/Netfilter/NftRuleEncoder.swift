import CContainerNetworking
import NetworkPrimitives

/// Converts the statements of a rule to expressions. Each statement has all 16 registers: no value outlives it.
struct NftRuleEncoder {
  let family: NftFamily
  private(set) var expressions: [NftExpression] = []
  private var checked: Set<NftSelector.Requirement> = []

  init(family: NftFamily) { self.family = family }

  mutating func append(_ statement: NftStatement) throws(NetworkError) {
    switch statement {
    case .match(let fields, let condition): try match(fields, condition)
    case .verdict(let verdict):
      try verdict.check()
      expressions.append(.verdict(verdict))
    case .verdictMap(let fields, let map):
      _ = try load(fields)
      expressions.append(.lookup(map, key: NftRegister(slot: 0), data: .verdict, inverted: false))
    case .translate(let translation): try translate(translation)
    case .masquerade(let flags): expressions.append(.masquerade(flags: flags.rawValue))
    case .reject(.tcpReset): expressions.append(.reject(type: NFT_REJECT_TCP_RST.rawValue, code: 0))
    case .reject(.portUnreachable): reject(NFT_REJECT_ICMPX_PORT_UNREACH)
    case .reject(.adminProhibited): reject(NFT_REJECT_ICMPX_ADMIN_PROHIBITED)
    case .counter: expressions.append(.counter)
    case .notrack: expressions.append(.notrack)
    case .setMark(let mark):
      expressions.append(.immediate(NftValue.host(mark).encoded, into: NftRegister(slot: 0)))
      expressions.append(.setMeta(NFT_META_MARK.rawValue, from: NftRegister(slot: 0)))
    case .setSourceMAC(let address):
      expressions.append(.immediate(NftValue.mac(address).encoded, into: NftRegister(slot: 0)))
      expressions.append(
        .setPayload(base: NFT_PAYLOAD_LL_HEADER.rawValue, offset: 6, length: 6, from: NftRegister(slot: 0)))
    case .setConnectionMark(let mark):
      expressions.append(.immediate(NftValue.host(mark).encoded, into: NftRegister(slot: 0)))
      expressions.append(.setConntrack(NFT_CT_MARK.rawValue, from: NftRegister(slot: 0)))
    case .trace:
      expressions.append(.immediate([1], into: NftRegister(slot: 0)))
      expressions.append(.setMeta(NFT_META_NFTRACE.rawValue, from: NftRegister(slot: 0)))
    }
  }

  private mutating func reject(_ code: nft_reject_inet_code) {
    expressions.append(.reject(type: NFT_REJECT_ICMPX_UNREACH.rawValue, code: UInt8(truncatingIfNeeded: code.rawValue)))
  }

  // MARK: - Matches

  private mutating func match(_ fields: [NftSelector], _ condition: NftCondition) throws(NetworkError) {
    let types = try load(fields)
    let register = NftRegister(slot: 0)
    if case .member(let set, let inverted) = condition {
      expressions.append(.lookup(set, key: register, data: nil, inverted: inverted))
      return
    }
    guard types.count == 1 else { throw invalid("\(types.count) fields together can only be looked up in a set") }
    switch condition {
    case .compare(let comparison, let value):
      expressions.append(.compare(register, comparison, try bytes(value, types)))
    case .range(let from, let to, let inverted):
      let bounds = (from: try bytes(from, types), to: try bytes(to, types))
      expressions.append(.range(register, inverted: inverted, from: bounds.from, to: bounds.to))
    case .prefix(let value, let bits, let inverted):
      let mask = try Self.mask(bits, types.size)
      let masked = zip(try bytes(value, types), mask).map { $0 & $1 }
      expressions.append(.mask(register, mask))
      expressions.append(.compare(register, inverted ? .notEqual : .equal, masked))
    case .anyBit(let value):
      let mask = try bytes(value, types)
      expressions.append(.mask(register, mask))
      expressions.append(.compare(register, .notEqual, mask.map { _ in 0 }))
    case .masked(let value, let mask):
      expressions.append(.mask(register, try bytes(mask, types)))
      expressions.append(.compare(register, .equal, try bytes(value, types)))
    case .member: return
    }
  }

  private static func mask(_ bits: Int, _ size: Int) throws(NetworkError) -> [UInt8] {
    guard (0...size * 8).contains(bits) else {
      throw NetworkError(
        .invalidValue, operation: "encode nftables rule",
        reason: "a prefix of \(bits) bits; 0 to \(size * 8) are possible")
    }
    return (0..<size).map { index in
      let left = min(8, max(0, bits - index * 8))
      return UInt8(truncatingIfNeeded: 0xff00 >> left)
    }
  }

  private func bytes(_ value: NftValue, _ types: [NftDataType]) throws(NetworkError) -> [UInt8] {
    try types.check(value, "encode nftables rule")
    return value.encoded
  }

  private func invalid(_ reason: String) -> NetworkError {
    NetworkError(.invalidValue, operation: "encode nftables rule", reason: reason)
  }

  // MARK: - Loads

  /// Loads fields consecutively, from the first register on.
  private mutating func load(_ fields: [NftSelector]) throws(NetworkError) -> [NftDataType] {
    let types = fields.map(\.type)
    guard !fields.isEmpty, types.reduce(0, { $0 + ($1.length + 3) / 4 }) <= 16 else {
      throw invalid("a key of \(fields.count) fields; 1 to 64 bytes of fields are possible")
    }
    for field in fields { try require(field.requirement) }
    var slot = 0
    for field in fields {
      let register = NftRegister(slot: slot)
      switch field.source {
      case .meta(let key): expressions.append(.meta(key, into: register))
      case .payload(let base, let offset):
        expressions.append(.payload(base: base, offset: offset, length: field.type.length, into: register))
      case .conntrack(let key, let direction):
        expressions.append(.conntrack(key, direction: direction, into: register))
      case .fib(let flags):
        expressions.append(.fib(flags: flags, result: NFT_FIB_RESULT_ADDRTYPE.rawValue, into: register))
      }
      slot += (field.type.length + 3) / 4
    }
    return types
  }

  /// Checks, once per rule, that the packet has the header.
  private mutating func require(_ requirement: NftSelector.Requirement?) throws(NetworkError) {
    guard let requirement, !checked.contains(requirement) else { return }
    let protocols: Set<NftSelector.Requirement> = [.ipv4, .ipv6, .arp]
    if protocols.contains(requirement), !checked.isDisjoint(with: protocols) {
      throw invalid("no packet has the headers of two of ip, ip6 and arp")
    }
    checked.insert(requirement)
    switch (requirement, family) {
    case (.ipv4, .ipv4), (.ipv6, .ipv6), (.arp, .arp), (.ethernet, .bridge): return
    case (.ipv4, .inet): check(NFT_META_NFPROTO, [NftFamily.ipv4.rawValue])
    case (.ipv6, .inet): check(NFT_META_NFPROTO, [NftFamily.ipv6.rawValue])
    case (.ipv4, .bridge), (.ipv4, .netdev): check(NFT_META_PROTOCOL, [0x08, 0x00])
    case (.ipv6, .bridge), (.ipv6, .netdev): check(NFT_META_PROTOCOL, [0x86, 0xdd])
    case (.arp, .bridge), (.arp, .netdev): check(NFT_META_PROTOCOL, [0x08, 0x06])
    case (.ethernet, _):
      var hardware = PayloadWriter()
      hardware.append(UInt16(1))  // ARPHRD_ETHER, in the host's byte order
      check(NFT_META_IFTYPE, hardware.bytes)
    default: throw invalid("a packet of family \(family) never has the header of \(requirement)")
    }
  }

  private mutating func check(_ key: nft_meta_keys, _ value: [UInt8]) {
    expressions.append(.meta(key.rawValue, into: NftRegister(slot: 0)))
    expressions.append(.compare(NftRegister(slot: 0), .equal, value))
  }

  // MARK: - Translation

  private mutating func translate(_ translation: NftTranslation) throws(NetworkError) {
    let target: (family: AddressFamily, port: Bool)
    var flags = translation.flags.rawValue
    switch translation.target {
    case .address(let address, let port):
      expressions.append(.immediate(address.bytes, into: NftRegister(slot: 0)))
      if let port {
        let register = NftRegister(slot: address.bytes.count / 4)
        expressions.append(.immediate(NftValue.port(port).encoded, into: register))
        flags |= 2  // NF_NAT_RANGE_PROTO_SPECIFIED, as nft(8) says it
      }
      target = (address.family, port != nil)
    case .map(let map, let key, let family, let port):
      _ = try load(key)
      expressions.append(.lookup(map, key: NftRegister(slot: 0), data: NftRegister(slot: 0), inverted: false))
      target = (family, port)
    }
    let proto = target.family == .ipv4 ? NftFamily.ipv4 : .ipv6
    guard family == .inet || family == proto else {
      throw invalid("an address of family \(proto) in a table of family \(family)")
    }
    let port = NftRegister(slot: target.family == .ipv4 ? 1 : 4)
    expressions.append(
      .nat(
        type: translation.kind.rawValue, family: proto.rawValue, address: NftRegister(slot: 0),
        port: target.port ? port : nil, flags: flags))
  }
}
