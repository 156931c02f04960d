import ContainerNetworking
import NetworkPrimitives

/// What is known of one namespace, and of the containers in it.
struct SandboxNames: Sendable {
  /// The containers in it; nearly always one.
  private(set) var members: [Member] = []
  /// Its endpoints' places.
  var places: [Int32] = []
  /// The networks whose names it sees, the one with its default route first.
  var networks: [String] = []

  /// What is kept of a container's record: there may be thousands, and each is some hundred bytes.
  struct Member: Sendable {
    var container: String
    var isReady: Bool
    var namespacePath: String?
    /// Names that it was given by itself, on every network.
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

  /// Takes in a container, in the place of what was known of it.
  mutating func save(_ member: Member) {
    remove(member.container)
    // In the order of their names, so that it does not matter who came first.
    members.insert(member, at: members.firstIndex { $0.container > member.container } ?? members.endIndex)
  }

  mutating func remove(_ container: String) { members.removeAll { $0.container == container } }

  /// Names that its containers were given by themselves.
  var hostnames: [DomainName] { members.count == 1 ? members[0].hostnames : members.flatMap(\.hostnames) }

  /// The name servers that its containers asked for.
  var servers: [IPAddress] { members.lazy.map(\.servers).first { !$0.isEmpty } ?? [] }
}
