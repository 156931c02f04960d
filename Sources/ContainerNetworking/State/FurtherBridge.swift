public import NetworkPrimitives

/// A bridge that a network has besides its first, for the endpoints that there is no room for on that: a switch of the
/// host's, joined to the first by a veth pair, and nothing else. Addresses, routes and what passes are the first's.
public struct FurtherBridge: Hashable, Sendable, Codable {
  /// The bridge on the host: `br-`, the first eight digits of the network's id, `-` and a number.
  public var name: InterfaceName
  /// How far it has come: ``Phase/creating`` until it is there, ``Phase/removing`` once nothing is on it.
  public var phase: Phase
}

extension FurtherBridge {
  /// One that is to be made.
  init(_ number: Int, ofNetwork id: String) throws(NetworkError) {
    name = try InterfaceName("br-\(id.prefix(8))-\(number)")
    phase = .creating
  }

  /// The end of the veth pair that is the first bridge's port.
  var trunk: InterfaceName { get throws(NetworkError) { try InterfaceName("bd\(name.description.dropFirst(2))") } }
  /// The end that is its own port.
  var uplink: InterfaceName { get throws(NetworkError) { try InterfaceName("bu\(name.description.dropFirst(2))") } }
  /// The number that it has among those of its network.
  var number: Int { name.description.split(separator: "-").last.flatMap { Int($0) } ?? 0 }

  /// Its hardware address, by which it is told from another's bridge of the same name: of the digits of the network's id
  /// behind those that are in its name, and of its number.
  func macAddress(ofNetwork id: String) -> MACAddress? {
    let digits = UInt64(id.dropFirst(8).prefix(6), radix: 16) ?? 0
    return MACAddress(rawValue: 0x06 << 40 | digits << 16 | UInt64(number & 0xffff))
  }
}

extension NetworkRecord {
  /// Whether it takes further bridges when its first has no room. One that was there before is its owner's: it gets no
  /// ports but containers'.
  var grows: Bool { driver == .bridge && !adoptsBridge && growsOverBridges != false }

  /// The bridge that an endpoint is on.
  ///
  /// - Throws: `.damagedRecord` for a network without one.
  func bridge(of endpoint: Endpoint) throws(NetworkError) -> InterfaceName {
    if let bridge = endpoint.bridge { return bridge }
    return try requireBridge()
  }

  /// Whether it has grown over further bridges.
  var hasGrown: Bool { furtherBridges?.isEmpty == false }

  /// What it has of a further bridge.
  func furtherBridge(_ name: InterfaceName) -> FurtherBridge? { furtherBridges?.first { $0.name == name } }

  /// Whether a link is one of its bridges.
  func isBridge(_ link: String) -> Bool {
    bridge?.description == link || furtherBridges?.contains { $0.name.description == link } == true
  }

  /// The names of its bridges, and of the ports by which they are joined.
  var ownLinks: [String] {
    [bridge].compactMap { $0?.description }
      + (furtherBridges ?? []).flatMap { further in
        let number = further.name.description.dropFirst(2)
        return ["\(further.name)", "bd\(number)", "bu\(number)"]
      }
  }
}
