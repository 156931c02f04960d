import ContainerNetworking
import Playground
import SystemPackage
import Testing

/// Three hosts on one underlay, a switch, with a network over all of them: on each a bridge, a VXLAN as its port, and
/// containers. Forwarding and neighbour entries are set by the library alone.
struct TunnelWorld {
  let playground: Playground
  let underlay: NetworkNamespace
  var hosts: [Host] = []
  let family: AddressFamily

  /// A host of the network.
  struct Host {
    let namespace: NetworkNamespace
    let address: IPAddress
    let bridge: Int32
    let tunnel: Int32
    let mtu: UInt32
  }

  /// A container of the network.
  struct Container {
    let namespace: NetworkNamespace
    let ipv4: IPAddress
    let ipv6: IPAddress
    let macAddress: MACAddress
    var host: Int
    var port: Int32
  }

  static let standard: UInt16 = 4789

  init(_ family: AddressFamily, hosts count: Int = 3) throws {
    playground = try Playground()
    self.family = family
    underlay = try NetworkNamespace.create()
    let cloud = try underlay.links.createBridge(InterfaceName("u0")).index
    try Self.setUp(cloud, in: underlay)
    for number in 1...count { hosts.append(try makeHost(number, cloud)) }
    try watch()
  }

  /// Without a link-local address, whose detection sends frames.
  private static func setUp(_ link: Int32, in namespace: NetworkNamespace) throws {
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    try namespace.links.change(link, quiet)
    try namespace.links.setUp(index: link)
  }

  private func makeHost(_ number: Int, _ cloud: Int32) throws -> Host {
    let namespace = try NetworkNamespace.create()
    let plug = try underlay.links.createVeth(
      VethEnd(InterfaceName("h\(number)"), master: cloud),
      peer: VethEnd(InterfaceName("eth0"), namespace: namespace.handle.descriptor))
    let uplink = try namespace.links.get("eth0").index
    try Self.setUp(plug.index, in: underlay)
    try Self.setUp(uplink, in: namespace)
    let text = family == .ipv4 ? "192.0.2.\(number)/24" : "fd99::\(number)/64"
    let address = try InterfaceAddress(text)
    try namespace.addresses.add(address, to: uplink)

    let bridge = try namespace.links.createBridge(InterfaceName("br0"), macAddress: MACAddress("02:42:0a:4d:00:01"))
    var options = VxlanOptions(77, port: Self.standard, local: address.address)
    options.learnsAddresses = false
    options.answersNeighbors = true
    options.underlay = uplink
    let tunnel = try namespace.links.createVxlan(VethEnd(InterfaceName("vx0"), master: bridge.index), options)
    var port = BridgePortOptions()
    port.learnsAddresses = false
    port.suppressesNeighbors = true
    try namespace.links.changeBridgePort(tunnel.index, port)
    try namespace.addresses.add(InterfaceAddress("10.77.0.1/24"), to: bridge.index)
    try namespace.addresses.add(InterfaceAddress("fd77::1/64"), to: bridge.index)
    for link in [tunnel.index, bridge.index] { try Self.setUp(link, in: namespace) }
    // So that they carry frames at once.
    for link in ["eth0", "vx0", "br0"] { _ = try namespace.links.get(link) }
    _ = try underlay.links.get("h\(number)")
    return Host(
      namespace: namespace, address: address.address, bridge: bridge.index, tunnel: tunnel.index, mtu: tunnel.mtu)
  }

  /// Makes a container on a host, known to nobody else.
  func makeContainer(_ last: UInt8, on host: Int) throws -> Container {
    let address = IPv4Address(10, 77, 0, last)
    let container = Container(
      namespace: try NetworkNamespace.create(), ipv4: .v4(address), ipv6: try IPAddress("fd77::\(last)"),
      macAddress: MACAddress(ipv4: address), host: host, port: 0)
    return try plugged(container, into: host)
  }

  /// The container with an interface on a host.
  func plugged(_ container: Container, into host: Int) throws -> Container {
    var container = container
    let links = hosts[host].namespace.links
    container.host = host
    let name = try InterfaceName("p\(container.macAddress.bytes[5])")
    container.port = try links.createVeth(
      VethEnd(name, master: hosts[host].bridge),
      peer: VethEnd(
        InterfaceName("eth0"), macAddress: container.macAddress, namespace: container.namespace.handle.descriptor),
      mtu: hosts[host].mtu
    ).index
    var suppressing = BridgePortOptions()
    suppressing.suppressesNeighbors = true
    try links.changeBridgePort(container.port, suppressing)
    try Self.setUp(container.port, in: hosts[host].namespace)
    let eth0 = try container.namespace.links.get("eth0").index
    try Self.setUp(eth0, in: container.namespace)
    try container.namespace.addresses.add(InterfaceAddress("\(container.ipv4)/24"), to: eth0)
    try container.namespace.addresses.add(InterfaceAddress("\(container.ipv6)/64"), to: eth0)
    _ = try container.namespace.links.get("eth0")
    _ = try links.get(name.description)
    return container
  }

  /// The requests that tell a host of a container elsewhere: one send.
  func announcement(of container: Container, to host: Int) -> [NetlinkRequest] {
    let tunnel = hosts[host].tunnel
    let far = ForwardingEntry(container.macAddress, on: tunnel, to: hosts[container.host].address)
    return [
      ForwardingRequests.replace(far),
      ForwardingRequests.replace(ForwardingEntry(container.macAddress, behind: tunnel)),
    ]
      + [container.ipv4, container.ipv6].map {
        NeighborRequests.replace(Neighbor($0, macAddress: container.macAddress, link: tunnel))
      }
  }

  /// Tells all other hosts of containers.
  func announce(_ containers: Container...) throws {
    for host in hosts.indices {
      let requests = containers.filter { $0.host != host }.flatMap { announcement(of: $0, to: host) }
      let outcomes = try hosts[host].namespace.connection(.route).perform(requests)
      #expect(outcomes.allSatisfy { $0.error == nil })
    }
  }

  /// Whether the first of all pings is answered.
  func isReached(_ address: IPAddress, from container: Container, bytes: Int = 56) throws -> Bool {
    // Without the neighbours that earlier pings left.
    for neighbor in try container.namespace.neighbors.list() where neighbor.state != .noARP {
      try? container.namespace.neighbors.delete(neighbor.address, on: neighbor.link)
    }
    let ping = address.family == .ipv4 ? "ping" : "ping6"
    return try playground.busybox(ping, "-c", "1", "-W", "5", "-s", "\(bytes)", "\(address)", in: container.namespace)
      != nil
  }

  // MARK: - What is in the tunnel

  /// What the underlay has carried of the tunnel.
  struct Carried: Equatable {
    var frames = 0
    /// Frames for groups and for all.
    var groups = 0
    var arp = 0
    var neighborDiscovery = 0
    /// Frames for hardware addresses that no container has.
    var unknown = 0
    /// Packets that had to be fragmented.
    var fragments = 0
    /// IPv4 packets as large as the MTU that may not be fragmented.
    var full = 0
  }

  private func watch() throws {
    // Behind the headers of UDP and VXLAN: the frame's destination, type, and its packet's header.
    let rules = """
      table bridge watch {
        counter frames {}
        counter groups {}
        counter questions {}
        counter discovery {}
        counter unknown {}
        counter fragments {}
        counter full {}
        chain tunnel {
          counter name frames
          @th,128,8 & 1 == 1 counter name groups
          @th,224,16 0x0806 counter name questions
          @th,224,16 0x86dd @th,288,8 58 @th,560,8 135-136 counter name discovery
          @th,224,16 0x0800 @th,256,16 \(hosts[0].mtu) @th,289,1 1 counter name full
          @th,128,32 != 0x02420a4d counter name unknown
        }
        chain forward {
          type filter hook forward priority 0;
          ip frag-off & 0x3fff != 0 counter name fragments
          exthdr frag exists counter name fragments
          udp dport \(Self.standard) jump tunnel
        }
      }
      """
    let result = try playground.run(Command("nft", [rules]), in: underlay, includesErrors: true)
    try #require(result.status == .exited(0), "\(result.output)")
  }

  /// What the underlay has carried of the tunnel so far.
  func carried() throws -> Carried {
    let text = try #require(try playground.output("nft", "list", "counters", "table", "bridge", "watch", in: underlay))
    func count(_ name: String) throws -> Int {
      let rest = try #require(text.firstRange(of: "counter \(name) {")).upperBound
      return try #require(
        text[rest...].split(whereSeparator: \.isWhitespace).drop { $0 != "packets" }.dropFirst().first.flatMap {
          Int($0)
        })
    }
    return Carried(
      frames: try count("frames"), groups: try count("groups"), arp: try count("questions"),
      neighborDiscovery: try count("discovery"), unknown: try count("unknown"), fragments: try count("fragments"),
      full: try count("full"))
  }
}
