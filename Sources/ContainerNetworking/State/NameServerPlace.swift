/// Where on the gateways of a network its names are answered: containers ask at port 53, and our rules lead there. So
/// whoever else of the host holds port 53, of all its addresses even, is not in the way, nor are the names in theirs.
public struct NameServerPlace: Hashable, Sendable, Codable {
  /// The UDP and TCP port of each gateway that the name server listens at.
  public var port: UInt16
  /// How far it has come: ``Phase/ready`` once the rules lead there.
  public var phase: Phase
}

extension NetworkRecord {
  /// The port of each gateway that the name server of the network listens at.
  public var nameServerPort: UInt16 { nameServer?.port ?? Self.askedNamePort }

  /// The port of a gateway that containers ask at (RFC 1035, section 4.2).
  static let askedNamePort: UInt16 = 53
}
