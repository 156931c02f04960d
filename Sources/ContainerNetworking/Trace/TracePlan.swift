import Netlink
import NetworkPrimitives

/// A request with its names resolved: the sender and the packets to match.
struct TracePlan {
  /// The sender of the packet.
  enum Sender {
    /// A container and its namespace; with its name in the graph.
    case container(String, NetworkNamespace)
    /// The host.
    case host(NetworkNamespace)
    /// A foreign sender, whose packet is awaited: from an address, by a link, or both.
    case somebody(IPAddress?, InterfaceName?)
  }

  var sender: Sender
  var networks: [NetworkRecord]
  var endpoints: [Endpoint]
  /// The sender's own endpoints.
  var own: [Endpoint]
  /// The receiver's endpoints; empty if it is not a container.
  var theirs: [Endpoint]

  /// The destination address.
  ///
  /// - Throws: `.conflictingOptions` for a container without one.
  func destination(_ request: TraceRequest) throws(NetworkError) -> IPAddress {
    switch request.to {
    case .address(let address): return address
    case .host: return hostAddress
    case .name(let name):
      if theirs.isEmpty { return hostAddress }
      let near = theirs.filter { endpoint in own.contains { $0.networkID == endpoint.networkID } }
      guard let address = (near + theirs).lazy.flatMap({ $0.addresses.map(\.address) }).first else {
        throw NetworkError(
          .conflictingOptions, operation: "trace a packet to \"\(name)\"", reason: "\"\(name)\" has no address")
      }
      return address
    }
  }

  /// The host's address as the sender reaches it.
  private var hostAddress: IPAddress {
    for endpoint in own {
      let network = networks.first { $0.id == endpoint.networkID }
      if let gateway = network?.subnets.lazy.compactMap(\.gateway).first { return gateway }
    }
    return .v4(IPv4Address(127, 0, 0, 1))
  }

  /// The destinations of an awaited packet: the receiver itself, and the host's ports that map to it.
  func destinations(_ request: TraceRequest, _ context: [AssignedAddress]) -> [TraceMatch.End] {
    let port: UInt16? = request.kind.port
    switch request.to {
    case .address(let address): return [TraceMatch.End(address: address, port: port)]
    case .host: return context.map { TraceMatch.End(address: $0.address.address, port: port) }
    case .name:
      if theirs.isEmpty { return context.map { TraceMatch.End(address: $0.address.address, port: port) } }
      let direct = theirs.flatMap(\.addresses).map { TraceMatch.End(address: $0.address, port: port) }
      let ports = theirs.flatMap(\.ports).filter {
        $0.containerPort == port && $0.transport.number == request.kind.transport
      }
      return direct
        + ports.flatMap { published in
          context.map(\.address.address).filter {
            !$0.isLoopback
              && (published.hostAddress == nil || published.hostAddress?.isUnspecified == true
                || published.hostAddress == $0)
          }.map { TraceMatch.End(address: $0, port: published.hostPort) }
        }
    }
  }

  /// The possible answerers: the destination, and the container behind a published port.
  func answerers(_ destinations: [TraceMatch.End], _ kind: TraceRequest.Kind) -> [TraceMatch.End] {
    var answerers = destinations
    for endpoint in endpoints {
      for port in endpoint.ports where port.transport.number == kind.transport {
        guard destinations.contains(where: { $0.port == port.hostPort }) else { continue }
        answerers += endpoint.addresses.map { TraceMatch.End(address: $0.address, port: port.containerPort) }
      }
    }
    var seen: Set<TraceMatch.End> = []
    return answerers.filter { seen.insert($0).inserted }
  }
}

extension TraceRequest.Kind {
  var port: UInt16? {
    switch self {
    case .tcp(let port), .udp(let port): port
    case .echo: nil
    }
  }

  /// The number of the protocol; of echoes that of IPv4.
  var transport: UInt8 {
    switch self {
    case .tcp: 6
    case .udp: 17
    case .echo: 1
    }
  }

  func probe(from source: IPAddress?, to destination: IPAddress) -> ProbePacket {
    switch self {
    case .tcp(let port): ProbePacket(.tcp(port), from: source, to: destination)
    case .udp(let port): ProbePacket(.udp(port), from: source, to: destination)
    case .echo: ProbePacket(.echo, from: source, to: destination)
    }
  }
}

extension Engine {
  /// Resolves the names of a request.
  ///
  /// - Throws: `.notFound` for a name that is neither a container nor a link; `.closed` for a container whose namespace
  ///   is gone.
  func plan(_ request: TraceRequest) throws(NetworkError) -> TracePlan {
    let (networks, endpoints, sandboxes) = try look { state in
      (
        Array(state.networks.values), state.endpoints.values.filter { $0.phase == .ready },
        state.sandboxes.filter { $0.value.phase == .ready }
      )
    }
    let ofSandbox = { (id: String) in
      endpoints.filter { $0.sandboxID == id }.sorted {
        NaturalOrder.precedes("\($0.interface)", "\($1.interface)")
      }
    }
    func sandbox(at address: IPAddress) -> SandboxRecord? {
      endpoints.first { $0.addresses.contains { $0.address == address } }
        .flatMap { endpoint in sandboxes.values.first { $0.sandboxID == endpoint.sandboxID } }
    }
    func unknown(_ name: String) -> NetworkError {
      NetworkError(
        .notFound, operation: "trace a packet from \(request.from) to \(request.to)\(request.kind)",
        reason: "\"\(name)\" is neither an attached container nor a link of the host")
    }
    let hostAddresses = try host.addresses.list().map(\.address.address)
    var from: SandboxRecord?
    var sender = TracePlan.Sender.host(host)
    switch request.from {
    case .host: break
    case .address(let address):
      from = sandbox(at: address)
      if from == nil, !address.isLoopback, !hostAddresses.contains(address) { sender = .somebody(address, nil) }
    case .name(let name):
      from = sandboxes[name]
      if from == nil {
        guard let link = try? InterfaceName(name), (try? host.links.get(name)) != nil else { throw unknown(name) }
        sender = .somebody(nil, link)
      }
    }
    var own: [Endpoint] = []
    if let from, from.sandboxID != Self.hostSandbox {
      own = ofSandbox(from.sandboxID)
      sender = .container(own.first?.container ?? from.container, try namespace(of: from))
    }
    var theirs: [Endpoint] = []
    switch request.to {
    case .host: break
    case .address(let address): theirs = sandbox(at: address).map { ofSandbox($0.sandboxID) } ?? []
    case .name(let name):
      guard let to = sandboxes[name] else { throw unknown(name) }
      theirs = ofSandbox(to.sandboxID)
      if theirs.isEmpty, to.sandboxID != Self.hostSandbox {
        throw NetworkError(
          .conflictingOptions, operation: "trace a packet to \"\(name)\"",
          reason: "\"\(name)\" is on no network; its mode is \(to.mode)")
      }
    }
    return TracePlan(sender: sender, networks: networks, endpoints: endpoints, own: own, theirs: theirs)
  }
}
