import ContainerNetworking
import NetworkPrimitives

/// The data of one namespace and its containers.
struct SandboxNames: Sendable {
  /// The containers in it; nearly always one.
  private(set) var members: [Member] = []
  /// Its endpoints' places.
  var places: [Int32] = []
  /// The networks whose names it sees, beginning with that of its default route.
  var networks: [String] = []

  /// The kept part of a container's record: there may be thousands, of some hundred bytes each.
  struct Member: Sendable {
    var container: String
    var isReady: Bool
    var namespacePath: String?
    /// Its own names, valid on every network.
    var hostnames: [DomainName]
    /// The name servers that it asked for.
    var servers: [IPAddress]

    init(_ record: SandboxRecord) {
      container = record.container
      isReady = record.phase == .ready
      namespacePath = record.namespacePath
      servers = record.names?.dns ?? []
      hostnames = []
      guard let hostname = record.names?.hostname, let name = DomainName(hostname) else { return }
      hostnames.append(name)
      let domain = record.names?.domainname.flatMap { DomainName($0) }
      if let full = domain.flatMap({ try? name.appending($0) }) { hostnames.append(full) }
    }
  }

  /// Adds a container, or replaces its data.
  mutating func save(_ member: Member) {
    remove(member.container)
    // Sorted by name, so that the order of arrival does not matter.
    members.insert(member, at: members.firstIndex { $0.container > member.container } ?? members.endIndex)
  }

  mutating func remove(_ container: String) { members.removeAll { $0.container == container } }

  /// The containers' own names.
  var hostnames: [DomainName] { members.count == 1 ? members[0].hostnames : members.flatMap(\.hostnames) }

  /// The name servers that its containers requested.
  var servers: [IPAddress] { members.lazy.map(\.servers).first { !$0.isEmpty } ?? [] }
}
