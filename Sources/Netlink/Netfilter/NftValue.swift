public import NetworkPrimitives

/// A value that rules compare with and sets hold: one field, or several of a concatenation.
public struct NftValue: Hashable, Sendable {
  /// The bytes of each field as the packet or the kernel has them, without padding.
  public var fields: [[UInt8]]

  /// Fields as bytes.
  public init(fields: [[UInt8]]) { self.fields = fields }

  /// One field as bytes.
  public static func bytes(_ bytes: [UInt8]) -> NftValue { NftValue(fields: [bytes]) }
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
  /// `inet_proto`: a number of `/etc/protocols`, or a family (`NFPROTO_*`) where one is compared.
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
  /// `ifname`: all 16 bytes (`IFNAMSIZ`), so that no longer name is the same.
  public static func interface(_ name: InterfaceName) -> NftValue {
    let bytes = Array(name.description.utf8)
    return .bytes(bytes + [UInt8](repeating: 0, count: max(0, 16 - bytes.count)))
  }
  /// A number of the kernel's own, in the host's byte order: a mark, a connection's state.
  public static func host(_ number: UInt32) -> NftValue {
    var writer = PayloadWriter()
    writer.append(number)
    return .bytes(writer.bytes)
  }

  /// The fields of several values behind each other.
  public static func concatenation(_ values: NftValue...) -> NftValue { NftValue(fields: values.flatMap(\.fields)) }

  /// As a register or a set's key holds it: each field of a concatenation is padded to four bytes.
  var encoded: [UInt8] {
    guard fields.count != 1 else { return fields[0] }
    return fields.flatMap { $0 + [UInt8](repeating: 0, count: -$0.count & 3) }
  }

  /// Splits what `encoded` made.
  init(_ bytes: ArraySlice<UInt8>, lengths: [Int]) throws(NetworkError) {
    var reader = PayloadReader(bytes)
    var fields: [[UInt8]] = []
    for length in lengths {
      fields.append(Array(try reader.take(length)))
      if lengths.count > 1 { try reader.skip(-length & 3) }
    }
    guard reader.rest.isEmpty else {
      throw NftMessage.malformed("value", "\(bytes.count) bytes where the type has \(bytes.count - reader.rest.count)")
    }
    self.fields = fields
  }
}

/// The type of a field: the number by which nft(8) knows how to print it, and its length.
public struct NftDataType: Hashable, Sendable {
  /// nft's number (`enum datatypes` of its source, a stable interface between its versions); 0 is bytes of any kind.
  public var id: UInt32
  /// Bytes, without padding.
  public var length: Int
  /// How nft(8) is to read numbers of it: `BYTEORDER_HOST_ENDIAN` 1, `BYTEORDER_BIG_ENDIAN` 2.
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
  /// `ifname`.
  public static let interfaceName = NftDataType(id: 41, length: 16, byteOrder: 1)

  init(id: UInt32, length: Int, byteOrder: UInt32 = 2) {
    self.id = id
    self.length = length
    self.byteOrder = byteOrder
  }

  /// The types that a number from the kernel names, six bits each; nil when one is not among those above.
  static func list(id: UInt32) -> [NftDataType]? {
    let known: [NftDataType] = [
      .ipv4Address, .ipv6Address, .macAddress, .transportProtocol, .port, .mark, .interfaceName,
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
    let fields = value.fields
    guard fields.count == count, zip(fields, self).allSatisfy({ $0.count == $1.length }) else {
      throw NetworkError(
        .invalidValue, operation: operation(),
        reason: "the value has fields of \(value.fields.map(\.count)) bytes; \(map(\.length)) bytes belong there")
    }
  }
}
