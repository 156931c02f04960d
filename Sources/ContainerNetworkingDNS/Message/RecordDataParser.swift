import NetworkPrimitives

extension WireCursor {
  /// Reads a record's data, to which the cursor is bounded.
  mutating func recordData(
    _ type: RecordType, _ recordClass: RecordClass, of bytes: Span<UInt8>
  ) throws(NetworkError) -> RecordData {
    let length = end - offset
    guard recordClass == .internet else {
      // Other classes have their own form of address; and updates have records without data (RFC 2136, section 2.4).
      guard length > 0, type != .a, type != .aaaa, type != .srv else {
        return .unknown(type, try self.bytes(length, of: bytes, "data"))
      }
      return try internetData(type, of: bytes)
    }
    return try internetData(type, of: bytes)
  }

  private mutating func internetData(_ type: RecordType, of bytes: Span<UInt8>) throws(NetworkError) -> RecordData {
    switch type {
    case .a: return .a(IPv4Address(rawValue: try uint32(of: bytes, "an IPv4 address")))
    case .aaaa:
      var number: UInt128 = 0
      for _ in 0..<4 { number = number << 32 | UInt128(try uint32(of: bytes, "the rest of an IPv6 address")) }
      return .aaaa(IPv6Address(rawValue: number))
    case .ns: return .ns(try name(of: bytes))
    case .cname: return .cname(try name(of: bytes))
    case .ptr: return .ptr(try name(of: bytes))
    case .soa: return .soa(try startOfAuthority(of: bytes))
    case .mx: return .mx(preference: try uint16(of: bytes, "a preference"), exchange: try name(of: bytes))
    case .txt:
      var strings: [[UInt8]] = []
      while offset < end { strings.append(try string(of: bytes)) }
      // No string means the same as one empty string (RFC 6763, section 6.1).
      return .txt(strings.isEmpty ? [[]] : strings)
    case .srv:
      return .srv(
        priority: try uint16(of: bytes, "a priority"), weight: try uint16(of: bytes, "a weight"),
        port: try uint16(of: bytes, "a port"), target: try name(of: bytes))
    default: return .unknown(type, try uncompressed(type, of: bytes))
    }
  }

  private mutating func startOfAuthority(of bytes: Span<UInt8>) throws(NetworkError) -> StartOfAuthority {
    StartOfAuthority(
      server: try name(of: bytes), mailbox: try name(of: bytes), serial: try uint32(of: bytes, "a serial number"),
      refresh: try uint32(of: bytes, "a refresh time"), retry: try uint32(of: bytes, "a retry time"),
      expire: try uint32(of: bytes, "an expiry time"), minimum: try uint32(of: bytes, "a minimum time"))
  }

  /// The start of a type's data, up to its last name.
  private enum Field {
    case octets(Int)
    case string
    case name
  }

  /// The types whose data may contain compressed names, which depend on their message (RFC 3597, section 4): MD, MF,
  /// MB, MG, MR, MINFO; RP, AFSDB, RT, SIG, PX, NXT, NAPTR.
  private static func fields(of type: RecordType) -> [Field]? {
    switch type.rawValue {
    case 3, 4, 7, 8, 9: [.name]
    case 14, 17: [.name, .name]
    case 18, 21: [.octets(2), .name]
    case 24: [.octets(18), .name]
    case 26: [.octets(2), .name, .name]
    case 30: [.name]
    case 35: [.octets(4), .string, .string, .string, .name]
    default: nil
    }
  }

  /// The data with its names written out.
  private mutating func uncompressed(_ type: RecordType, of bytes: Span<UInt8>) throws(NetworkError) -> [UInt8] {
    var data: [UInt8] = []
    for field in offset < end ? Self.fields(of: type) ?? [] : [] {
      switch field {
      case .octets(let count): data += try self.bytes(count, of: bytes, "data before a name")
      case .string:
        let string = try string(of: bytes)
        data += [UInt8(string.count)] + string
      case .name: data += try name(of: bytes).wire + [0]
      }
    }
    return data + (try self.bytes(end - offset, of: bytes, "data"))
  }
}
