import NetworkPrimitives

/// What a container's resolv.conf(5), hosts(5) and hostname(5) say.
struct ContainerFileTexts: Hashable {
  var resolvConf: String
  var hosts: String
  var hostname: String

  /// In the order of the files' names.
  var all: [String] { [resolvConf, hosts, hostname] }

  /// The first line of each, but for hostname's, which has no comments.
  static let notice = "# Made by ContainerNetworking. Once it is edited, it is left as it is."

  /// What the texts are made of.
  struct Source {
    /// The container that brought the namespace, or one that shares it.
    var record: SandboxRecord
    /// Its endpoints with their networks, in the order of their interfaces.
    var endpoints: [(endpoint: Endpoint, network: NetworkRecord)]
    /// Whether anybody answers for the names of networks.
    var hasService: Bool
    /// What `host-gateway` stands for; none for the bridge's addresses.
    var hostGateways: [IPAddress]
    /// The name servers that the host asks, if not those of its resolv.conf.
    var resolvers: [IPAddress]?
    /// What the host's own files say.
    var host: HostTexts

    var options: NameOptions { record.names ?? NameOptions() }
    var isHost: Bool { record.sandboxID == Engine.hostSandbox }
    var families: Set<AddressFamily> {
      endpoints.isEmpty ? Set(AddressFamily.allCases) : Set(endpoints.flatMap(\.network.families))
    }
  }

  /// What the host's own files say.
  struct HostTexts {
    var resolvConf = ""
    /// What a local stub on the host asks.
    var upstreamResolvConf = ""
    var hosts = ""
    var hostname = ""
  }

  init(_ source: Source) {
    resolvConf = Self.resolvConf(source)
    hosts = Self.hosts(source)
    hostname = (source.record.hostname ?? source.host.hostname.filter { !$0.isWhitespace }) + "\n"
  }

  /// What the files cannot say, or resolvers will not take.
  static func warnings(_ source: Source) -> [AttachWarning] {
    var warnings = source.options.warnings(asksNetwork: !discoveryServers(source).isEmpty)
    // Who reaches nothing outside misses nobody to ask.
    let reachesOutside = !source.isHost && source.endpoints.contains { !$0.network.isInternal }
    if reachesOutside, configuration(source).servers.isEmpty { warnings.append(.noNameServer) }
    if reachesOutside, !discoveryServers(source).isEmpty, source.options.dns.isEmpty,
      source.endpoints.allSatisfy({ $0.network.dnsServers == nil }),
      ResolverConfiguration(parsing: source.host.resolvConf).servers.isEmpty
    {
      warnings.append(.noOtherNames)
    }
    return warnings
  }

  // MARK: - resolv.conf

  private static func resolvConf(_ source: Source) -> String {
    let isVerbatim =
      source.isHost && source.options.dns.isEmpty && source.options.dnsSearch.isEmpty
      && source.options.dnsOptions.isEmpty
    return isVerbatim ? source.host.resolvConf : configuration(source).text
  }

  static func configuration(_ source: Source) -> ResolverConfiguration {
    let host = ResolverConfiguration(parsing: source.host.resolvConf)
    let options = source.options
    var own = host
    if !options.dnsSearch.isEmpty { own.search = options.dnsSearch == ["."] ? [] : options.dnsSearch }
    if !options.dnsOptions.isEmpty { own.options = options.dnsOptions }
    let discovery = discoveryServers(source)
    if !discovery.isEmpty {
      // The networks' own servers ask those of the options.
      own.servers = discovery.prefix(ResolverLimits.servers).map(\.description)
      // A name of one label is a container's first, and a search domain's only then.
      if !own.options.contains(where: { $0.hasPrefix("ndots:") }) { own.options.append("ndots:0") }
    } else if !options.dns.isEmpty {
      own.servers = options.dns.map(\.description)
    } else if let servers = source.endpoints.lazy.compactMap(\.network.dnsServers).first {
      own.servers = servers.map(\.description)
    } else if !source.isHost {
      if let resolvers = source.resolvers {
        own.servers = resolvers.map(\.description)
      } else if host.isStub {
        own.servers = ResolverConfiguration(parsing: source.host.upstreamResolvConf).servers
      }
      own.servers = own.servers(for: source.families).map(\.description)
    }
    return own
  }

  /// Where the names of its networks are answered: inside, if any of them wants it there, else at every gateway; each
  /// answers for all of them.
  private static func discoveryServers(_ source: Source) -> [IPAddress] {
    guard source.hasService else { return [] }
    if source.endpoints.contains(where: { $0.network.servesNamesAt == .container }) {
      return [.v4(NetworkRecord.innerNameServer)]
    }
    return source.endpoints.filter { $0.network.servesNamesAt == .gateway }.flatMap { $0.network.bridgeGateways }
  }

  // MARK: - hosts

  private static func hosts(_ source: Source) -> String {
    let extra = source.options.extraHosts.flatMap { host in
      addresses(of: host, source).map { "\($0)\t\(host.name)" }
    }
    if source.isHost {
      let text = source.host.hosts
      return text + (text.isEmpty || text.hasSuffix("\n") ? "" : "\n") + extra.map { $0 + "\n" }.joined()
    }
    var lines = [
      notice, "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::\tip6-localnet",
      "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters",
    ]
    lines += extra
    for (endpoint, _) in source.endpoints {
      for address in endpoint.addresses {
        lines.append("\(address.address)\t\(names(source.record, endpoint).joined(separator: " "))")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Its names, the full one first, which is what the others stand for (hosts(5)).
  private static func names(_ record: SandboxRecord, _ endpoint: Endpoint) -> [String] {
    let host = record.hostname ?? endpoint.container
    var names = record.names?.domainname.map { ["\(host).\($0)"] } ?? []
    for name in [host, endpoint.container] where !names.contains(name) { names.append(name) }
    return names
  }

  private static func addresses(of host: ExtraHost, _ source: Source) -> [IPAddress] {
    if let address = host.address { return [address] }
    if !source.hostGateways.isEmpty { return source.hostGateways }
    if source.isHost { return [.v4(IPv4Address(127, 0, 0, 1))] }
    return source.endpoints.lazy.map(\.network.bridgeGateways).first { !$0.isEmpty } ?? []
  }
}

extension NetworkRecord {
  /// Where a container asks for names that they are answered in its own namespace for; Docker's address.
  public static let innerNameServer = IPv4Address(127, 0, 0, 11)
}

extension SandboxRecord {
  /// The host name that its namespace of names (`CLONE_NEWUTS`) should have; nil for the host's own.
  public var hostname: String? {
    names?.hostname ?? (sandboxID == Engine.hostSandbox ? nil : String(sandboxID.prefix(12)))
  }
}
