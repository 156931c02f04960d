/// The port of a network's gateways at which its name server listens. Containers ask at port 53, and our rules redirect
/// that. Another program may therefore hold port 53, even on the wildcard, without a conflict.
public struct NameServerPlace: Hashable, Sendable, Codable {
  /// The UDP and TCP port of each gateway on which the name server listens.
  public var port: UInt16
  /// Its phase: ``Phase/ready`` once the rules redirect to it.
  public var phase: Phase
}

extension NetworkRecord {
  /// The port of each gateway on which the network's name server listens.
  public var nameServerPort: UInt16 { nameServer?.port ?? Self.askedNamePort }

  /// The port of a gateway that containers ask (RFC 1035, section 4.2).
  static let askedNamePort: UInt16 = 53
}
