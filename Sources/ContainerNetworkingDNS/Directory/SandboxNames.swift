import ContainerNetworking
import NetworkPrimitives

/// What is known of one namespace, and of the containers in it.
struct SandboxNames: Sendable {
  /// The containers in it, by name.
  var members: [String: SandboxRecord] = [:]
  /// Its endpoints' places.
  var places: [Int32] = []
  /// The networks whose names it sees, the one with its default route first.
  var networks: [String] = []

  /// Names that its containers were given by themselves, on every network.
  var hostnames: [DomainName] {
    members.values.flatMap { record in
      guard let hostname = record.names?.hostname, let name = DomainName(hostname) else { return [DomainName]() }
      let domain = record.names?.domainname.flatMap { DomainName($0) }
      return [name] + (domain.flatMap { try? name.appending($0) }.map { [$0] } ?? [])
    }
  }

  /// The name servers that its containers asked for.
  var servers: [IPAddress] {
    members.values.sorted { $0.container < $1.container }.map { $0.names?.dns ?? [] }.first { !$0.isEmpty } ?? []
  }
}
