import ContainerNetworking
import NetworkPrimitives
import Synchronization

/// What all parts of a running server share.
final class ServerContext: Sendable {
  let host: NetworkNamespace
  let settings: NameServerSettings
  let directory: NameDirectory
  let cache: AnswerCache
  let resolverFile: ResolverFile
  /// Where this server listens on the host: asking there would be asking itself.
  private let ownAddresses = Mutex<[IPAddress: Int]>([:])

  init(host: NetworkNamespace, settings: NameServerSettings, directory: NameDirectory) {
    self.host = host
    self.settings = settings
    self.directory = directory
    cache = AnswerCache(entries: settings.cachedAnswers, octets: settings.cacheSize, now: settings.now)
    resolverFile = ResolverFile(settings.resolverFile)
  }

  func add(own addresses: [IPAddress]) {
    ownAddresses.withLock { own in for address in addresses { own[address, default: 0] += 1 } }
  }

  func remove(own addresses: [IPAddress]) {
    ownAddresses.withLock { own in
      for address in addresses {
        let count = own[address] ?? 0
        own[address] = count > 1 ? count - 1 : nil
      }
    }
  }

  /// The servers to ask, in their order, without this one.
  func servers(_ upstreams: Upstreams) -> [UpstreamServer] {
    let servers: [UpstreamServer]
    switch upstreams {
    case .host: servers = resolverFile.servers()
    case .servers(let addresses): servers = addresses.map { UpstreamServer(address: $0, zone: nil) }
    }
    return ownAddresses.withLock { own in servers.filter { own[$0.address] == nil } }
  }

  /// Whom to speak to at a server.
  ///
  /// - Throws: `.notFound` for a zone that is no link of the host.
  func peer(_ server: UpstreamServer, _ transport: TransportProtocol) throws(NetworkError) -> TransportAddress {
    var link: UInt32 = 0
    if server.address.isLinkLocal, let zone = server.zone {
      if let number = UInt32(zone) { link = number } else { link = UInt32(try host.links.get(zone).index) }
    }
    return TransportAddress(server.address, 53, transport, link: link)
  }
}

/// Who asks, for what is bounded for each: a container at a gateway, or all that is in one namespace.
struct Client: Hashable, Sendable {
  var place: ListeningPlace
  var address: IPAddress?

  init(_ address: IPAddress, at place: ListeningPlace) {
    self.place = place
    if case .gateway = place { self.address = address }
  }
}
