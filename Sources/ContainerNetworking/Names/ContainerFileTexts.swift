import NetworkPrimitives

/// The contents of a container's resolv.conf(5), hosts(5) and hostname(5).
struct ContainerFileTexts: Hashable {
  var resolvConf: String
  var hosts: String
  var hostname: String

  /// In the order of the files' names.
  var all: [String] { [resolvConf, hosts, hostname] }

  /// The first line of each file except hostname, which cannot have comments.
  static let notice = "# Made by ContainerNetworking. Once it is edited, it is left as it is."

  /// The sources of the texts.
  struct Source {
    /// The container that owns the namespace, or one that shares it.
    var record: SandboxRecord
    /// Its endpoints with their networks, in the order of their interfaces.
    var endpoints: [(endpoint: Endpoint, network: NetworkRecord)]
    /// Whether networks have a name service.
    var hasService: Bool
    /// The addresses of `host-gateway`; empty for the bridge's addresses.
    var hostGateways: [IPAddress]
    /// The host's name servers, if not those of its resolv.conf.
    var resolvers: [IPAddress]?
    /// The contents of the host's own files.
    var host: HostTexts

    var options: NameOptions { record.names ?? NameOptions() }
    var isHost: Bool { record.sandboxID == Engine.hostSandbox }
    var families: Set<AddressFamily> {
      endpoints.isEmpty ? Set(AddressFamily.allCases) : Set(endpoints.flatMap(\.network.families))
    }
  }

  /// The contents of the host's own files.
  struct HostTexts {
    var resolvConf = ""
    /// The resolv.conf of a local stub's upstream servers.
    var upstreamResolvConf = ""
    var hosts = ""
    var hostname = ""
  }

  init(_ source: Source) {
    resolvConf = Self.resolvConf(source)
    hosts = Self.hosts(source)
    hostname = (source.record.hostname ?? source.host.hostname.filter { !$0.isWhitespace }) + "\n"
  }

  /// Warnings about options that the files cannot express, or that resolvers refuse.
  static func warnings(_ source: Source) -> [AttachWarning] {
    var warnings = source.options.warnings(asksNetwork: !discoveryServers(source).isEmpty)
    // A container without access to the outside needs no upstream server.
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
      // The networks' own servers ask the servers of the options.
      own.servers = discovery.prefix(ResolverLimits.servers).map(\.description)
      // A name of one label is a container's first; search domains come after that.
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

  /// The name servers of its networks: inside the container if any network wants that, else at every gateway. Each
  /// answers for all of its networks.
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

  /// Its names, beginning with the canonical one (hosts(5)).
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
  /// The name server's address inside a container's own namespace; the same as Docker's.
  public static let innerNameServer = IPv4Address(127, 0, 0, 11)
}

extension SandboxRecord {
  /// The host name for its UTS namespace (`CLONE_NEWUTS`); nil for the host's own.
  public var hostname: String? {
    names?.hostname ?? (sandboxID == Engine.hostSandbox ? nil : String(sandboxID.prefix(12)))
  }
}
