public import NetworkPrimitives

/// A value for comparisons and sets: one field, or several of a concatenation.
public struct NftValue: Hashable, Sendable {
  /// The bytes in a register or a set's key: each field of a concatenation is padded to four bytes.
  private(set) var encoded: [UInt8] = []
  /// The number of fields.
  private(set) var count = 0
  /// The length in bytes of each of the first 16 fields, at most 255: registers hold less.
  private var lengths = SIMD16<UInt8>()

  /// The bytes of each field as in the packet or the kernel, without padding.
  public var fields: [[UInt8]] {
    guard count != 1 else { return [encoded] }
    var rest = encoded[...]
    return (0..<count).map { index in
      let field = Array(rest.prefix(length(at: index)))
      rest = rest.dropFirst((field.count + 3) & ~3)
      return field
    }
  }

  /// Fields as bytes.
  public init(fields: [[UInt8]]) {
    self.init(reserving: 64)
    for field in fields { append(field, of: fields.count) }
  }

  private init(reserving bytes: Int) { encoded.reserveCapacity(bytes) }

  /// The length of a field, bytes.
  func length(at index: Int) -> Int { index < 16 ? Int(lengths[index]) : 0 }

  /// - Parameter total: The final number of fields: a single field is not padded.
  private mutating func append(_ field: some Collection<UInt8>, of total: Int) {
    encoded.append(contentsOf: field)
    if total > 1 { while encoded.count & 3 != 0 { encoded.append(0) } }
    if count < 16 { lengths[count] = UInt8(clamping: field.count) }
    count += 1
  }

  /// One field as bytes.
  public static func bytes(_ bytes: [UInt8]) -> NftValue {
    var value = NftValue(fields: [])
    value.encoded = bytes
    value.lengths[0] = UInt8(clamping: bytes.count)
    value.count = 1
    return value
  }
  /// `ipv4_addr`.
  public static func ipv4(_ address: IPv4Address) -> NftValue { .bytes(address.bytes) }
  /// `ipv6_addr`.
  public static func ipv6(_ address: IPv6Address) -> NftValue { .bytes(address.bytes) }
  /// `ipv4_addr` or `ipv6_addr`.
  public static func address(_ address: IPAddress) -> NftValue { .bytes(address.bytes) }
  /// `ether_addr`.
  public static func mac(_ address: MACAddress) -> NftValue { .bytes(address.bytes) }
  /// `inet_service`: a port.
  public static func port(_ port: UInt16) -> NftValue { .bytes([UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]) }
  /// `inet_proto`: a number of `/etc/protocols`, or a family (`NFPROTO_*`) in comparisons of families.
  public static func number(_ number: UInt8) -> NftValue { .bytes([number]) }
  /// `inet_proto`: TCP, 6.
  public static let tcp = number(6)
  /// `inet_proto`: UDP, 17.
  public static let udp = number(17)
  /// `inet_proto`: SCTP, 132.
  public static let sctp = number(132)
  /// `inet_proto`: ICMP, 1.
  public static let icmp = number(1)
  /// `inet_proto`: ICMPv6, 58.
  public static let icmpv6 = number(58)
  /// `ifname`: all 16 bytes (`IFNAMSIZ`), so that no longer name matches.
  public static func interface(_ name: InterfaceName) -> NftValue {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(16)
    bytes.append(contentsOf: name.description.utf8)
    while bytes.count < 16 { bytes.append(0) }
    return .bytes(bytes)
  }
  /// `iface_index`: a link by its index.
  public static func interface(index: Int32) -> NftValue { .host(UInt32(bitPattern: index)) }
  /// A number of the kernel's own, in the host's byte order: a mark, a connection's state.
  public static func host(_ number: UInt32) -> NftValue {
    var writer = PayloadWriter()
    writer.append(number)
    return .bytes(writer.bytes)
  }

  /// Concatenates the fields of several values.
  public static func concatenation(_ values: NftValue...) -> NftValue {
    let total = values.reduce(0) { $0 + $1.count }
    var whole = NftValue(reserving: 64)
    for value in values {
      var start = 0
      for index in 0..<value.count {
        let length = value.count == 1 ? value.encoded.count : value.length(at: index)
        whole.append(value.encoded[start..<start + length], of: total)
        start += (length + 3) & ~3
      }
    }
    return whole
  }

  /// Splits the bytes of ``encoded``.
  init(_ bytes: ArraySlice<UInt8>, lengths: [Int]) throws(NetworkError) {
    var reader = PayloadReader(bytes)
    self.init(reserving: bytes.count)
    for length in lengths {
      append(try reader.take(length), of: lengths.count)
      if lengths.count > 1 { try reader.skip(-length & 3) }
    }
    guard reader.rest.isEmpty else {
      throw NftMessage.malformed("value", "\(bytes.count) bytes where the type has \(bytes.count - reader.rest.count)")
    }
  }
}

/// The type of a field: the number by which nft(8) chooses its format, and its length.
public struct NftDataType: Hashable, Sendable {
  /// nft's number (`enum datatypes` of its source, a stable interface between its versions); 0 is bytes of any kind.
  public var id: UInt32
  /// Bytes, without padding.
  public var length: Int
  /// The byte order in which nft(8) reads the number: `BYTEORDER_HOST_ENDIAN` 1, `BYTEORDER_BIG_ENDIAN` 2.
  var byteOrder: UInt32 = 2

  /// Bytes that nft(8) prints as a number.
  public static func bytes(_ length: Int) -> NftDataType { NftDataType(id: 0, length: length) }
  /// `ipv4_addr`.
  public static let ipv4Address = NftDataType(id: 7, length: 4)
  /// `ipv6_addr`.
  public static let ipv6Address = NftDataType(id: 8, length: 16)
  /// `ether_addr`.
  public static let macAddress = NftDataType(id: 9, length: 6)
  /// `inet_proto`.
  public static let transportProtocol = NftDataType(id: 12, length: 1)
  /// `inet_service`.
  public static let port = NftDataType(id: 13, length: 2)
  /// `mark`.
  public static let mark = NftDataType(id: 19, length: 4, byteOrder: 1)
  /// `iface_index`, in the host's byte order: see ``NftValue/interface(index:)``.
  public static let interfaceIndex = NftDataType(id: 20, length: 4, byteOrder: 1)
  /// `ifname`.
  public static let interfaceName = NftDataType(id: 41, length: 16, byteOrder: 1)

  init(id: UInt32, length: Int, byteOrder: UInt32 = 2) {
    self.id = id
    self.length = length
    self.byteOrder = byteOrder
  }

  /// The types encoded in a number from the kernel, six bits each; nil for an unknown one.
  static func list(id: UInt32) -> [NftDataType]? {
    let known: [NftDataType] = [
      .ipv4Address, .ipv6Address, .macAddress, .transportProtocol, .port, .mark, .interfaceIndex, .interfaceName,
    ]
    var rest = id
    var types: [NftDataType] = []
    while rest != 0 {
      guard let type = known.first(where: { $0.id == rest & 0x3f }) else { return nil }
      types.insert(type, at: 0)
      rest >>= 6
    }
    return types.isEmpty ? nil : types
  }
}

extension [NftDataType] {
  /// The number of a concatenation: six bits a field.
  var id: UInt32 { reduce(0) { $0 << 6 | $1.id } }
  /// Bytes in a register or key.
  var size: Int { count == 1 ? self[0].length : reduce(0) { $0 + ($1.length + 3) & ~3 } }
  var byteOrder: UInt32 { count == 1 ? self[0].byteOrder : 0 }

  /// Checks that a value has these fields.
  func check(_ value: NftValue, _ operation: @autoclosure () -> String) throws(NetworkError) {
    guard value.count == count, indices.allSatisfy({ value.length(at: $0) == self[$0].length }) else {
      throw NetworkError(
        .invalidValue, operation: operation(),
        reason: "the value has fields of \(value.fields.map(\.count)) bytes; \(map(\.length)) bytes belong there")
    }
  }
}
