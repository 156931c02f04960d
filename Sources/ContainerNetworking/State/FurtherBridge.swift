public import NetworkPrimitives

/// A further bridge of a network, for endpoints beyond the capacity of the first: a plain switch of the host, joined to
/// the first by a veth pair. Addresses, routes and policy are the first bridge's.
public struct FurtherBridge: Hashable, Sendable, Codable {
  /// The bridge on the host: `br-`, the first eight digits of the network's id, `-` and a number.
  public var name: InterfaceName
  /// Its phase: ``Phase/creating`` until it exists, ``Phase/removing`` once it has no endpoint.
  public var phase: Phase
}

extension FurtherBridge {
  /// Makes the record of a new bridge.
  init(_ number: Int, ofNetwork id: String) throws(NetworkError) {
    name = try InterfaceName("br-\(id.prefix(8))-\(number)")
    phase = .creating
  }

  /// The end of the veth pair that is a port of the first bridge.
  var trunk: InterfaceName { get throws(NetworkError) { try InterfaceName("bd\(name.description.dropFirst(2))") } }
  /// The end that is its own port.
  var uplink: InterfaceName { get throws(NetworkError) { try InterfaceName("bu\(name.description.dropFirst(2))") } }
  /// Its number among its network's bridges.
  var number: Int { name.description.split(separator: "-").last.flatMap { Int($0) } ?? 0 }

  /// Its hardware address, which distinguishes it from a foreign bridge of the same name. It consists of the digits of
  /// the network's id after those in its name, and of its number.
  func macAddress(ofNetwork id: String) -> MACAddress? {
    let digits = UInt64(id.dropFirst(8).prefix(6), radix: 16) ?? 0
    return MACAddress(rawValue: 0x06 << 40 | digits << 16 | UInt64(number & 0xffff))
  }
}

extension NetworkRecord {
  /// Whether the network gets further bridges when its first is full. An adopted bridge belongs to its owner: only
  /// containers' ports are added to it.
  var grows: Bool { bridge != nil && !adoptsBridge && growsOverBridges != false }

  /// The bridge of an endpoint.
  ///
  /// - Throws: `.damagedRecord` for a network without one.
  func bridge(of endpoint: Endpoint) throws(NetworkError) -> InterfaceName {
    if let bridge = endpoint.bridge { return bridge }
    return try requireBridge()
  }

  /// Whether it has further bridges.
  var hasGrown: Bool { furtherBridges?.isEmpty == false }

  /// Its record of a further bridge.
  func furtherBridge(_ name: InterfaceName) -> FurtherBridge? { furtherBridges?.first { $0.name == name } }

  /// Whether a link is one of its bridges.
  func isBridge(_ link: String) -> Bool {
    bridge?.description == link || furtherBridges?.contains { $0.name.description == link } == true
  }

  /// The names of its bridges, and of the ports that join them.
  var ownLinks: [String] {
    [bridge].compactMap { $0?.description }
      + (furtherBridges ?? []).flatMap { further in
        let number = further.name.description.dropFirst(2)
        return ["\(further.name)", "bd\(number)", "bu\(number)"]
      }
  }
}
