import Netlink
import NetworkPrimitives

/// Conflicts with other records of the host.
extension Firewall {
  /// The error for elements that another record holds; nil without a conflict.
  func conflict(of elements: FirewallElements) throws(NetworkError) -> NetworkError? {
    for (set, elements) in elements.list {
      let wanted = Dictionary(elements.map { ($0.keyBytes, $0) }) { first, _ in first }
      for found in try foundIfAny(in: set) {
        guard let element = wanted[Array(found.key)], let other = found.comment.flatMap({ RecordID(comment: $0) }),
          other != id
        else { continue }
        return NetworkError(
          .inUse, operation: "add to set \"\(set.name)\"",
          reason: "\(Self.describe(element, in: set)) is in use by another record (\(other)) on this host; "
            + "choose another, or release it there")
      }
    }
    return nil
  }

  private static func describe(_ element: NftElement, in set: NftSet) -> String {
    let fields = element.key.fields
    let isPublished = AddressFamily.allCases.contains { family in
      [FirewallSets.published.of(family).name, FirewallSets.publishedAt.of(family).name].contains(set.name)
    }
    if isPublished, let port = fields.last, let transport = fields.dropLast().last {
      let address = fields.count == 3 ? IPAddress(bytes: fields[0]).map { " at \($0)" } ?? "" : ""
      return "port \(number(port))/\(text(of: transport, .transportProtocol))\(address)"
    }
    let key = text(of: element.key, set.key)
    return set.key == [.interfaceName] ? "the link \(key)" : "\(key) in the set \"\(set.name)\" of this host's rules"
  }

  /// A key as nft(8) prints it.
  static func text(of key: NftValue, _ types: [NftDataType]) -> String {
    zip(key.fields, types).map { text(of: $0, $1) }.joined(separator: " . ")
  }

  private static func text(of field: [UInt8], _ type: NftDataType) -> String {
    switch type {
    case .ipv4Address, .ipv6Address: IPAddress(bytes: field).map { "\($0)" } ?? "0x" + hexadecimal(field)
    case .macAddress: field.map { hexadecimal([$0]) }.joined(separator: ":")
    case .transportProtocol:
      TransportProtocol.allCases.first { [$0.number] == field }.map { "\($0)" } ?? "\(number(field))"
    case .port: "\(number(field))"
    case .interfaceName: "\"\(String(decoding: field.prefix { $0 != 0 }, as: UTF8.self))\""
    case .interfaceIndex: "\(number(hostOrder(field)))"
    case .mark: "0x" + hexadecimal(hostOrder(field))
    default: "0x" + hexadecimal(field)
    }
  }

  private static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

  /// The bytes of a number in the host's order, the highest first.
  private static func hostOrder(_ bytes: [UInt8]) -> [UInt8] {
    UInt32(bigEndian: 1) == 1 ? bytes : bytes.reversed()
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// Ports of the host that other records publish.
struct OthersPorts {
  private struct Key: Hashable {
    var family: AddressFamily
    var transport: UInt8
    var port: UInt16
  }

  private var holders: [Key: [(address: IPAddress, id: RecordID)]] = [:]

  var isEmpty: Bool { holders.isEmpty }

  /// The record whose port conflicts with the binding; nil if the port is free.
  func holder(of binding: PortBinding) -> RecordID? {
    let key = Key(family: binding.address.family, transport: binding.transport.number, port: binding.port)
    return holders[key]?.first { $0.address.includes(binding.address) || binding.address.includes($0.address) }?.id
  }

  /// The error for explicitly requested ports; nil if no other record publishes one of them.
  func refusal(of bindings: [PortBinding], _ operation: String) -> NetworkError? {
    for binding in bindings {
      guard let other = holder(of: binding) else { continue }
      return NetworkError(
        .inUse, operation: operation,
        reason:
          "port \(binding) is in use by another record (\(other)) on this host; choose another, or release it there")
    }
    return nil
  }

  /// Adds the elements of a map of published ports.
  fileprivate mutating func take(
    _ found: [NftElement.Found], of map: NftSet, _ family: AddressFamily, but own: RecordID
  )
    throws(NetworkError)
  {
    for found in found {
      guard let other = found.comment.flatMap({ RecordID(comment: $0) }), other != own else { continue }
      let element = try found.element(of: map)
      let fields = element.key.fields
      // An element whose target is its own address is a gateway's name server port, which a wildcard publication
      // exempts.
      if fields.count == 3, case .value(let target) = element.data, target.fields.first == fields[0] { continue }
      guard let transport = fields.dropLast().last?.first, let port = fields.last else { continue }
      let address = fields.count == 3 ? IPAddress(bytes: fields[0]) : nil
      let key = Key(family: family, transport: transport, port: port.reduce(0) { $0 << 8 | UInt16($1) })
      holders[key, default: []].append((address ?? .any(family), other))
    }
  }
}

extension Firewall {
  /// The ports that other records publish; costs one listing if this record is alone.
  func othersPorts() throws(NetworkError) -> OthersPorts {
    var ports = OthersPorts()
    if try others().isEmpty { return ports }
    for family in AddressFamily.allCases {
      for map in [FirewallSets.published.of(family), FirewallSets.publishedAt.of(family)] {
        try ports.take(foundIfAny(in: map), of: map, family, but: id)
      }
    }
    return ports
  }
}
