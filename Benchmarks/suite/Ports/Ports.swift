import BenchmarkKit
import ContainerNetworking
import Playground

/// What a published port costs with more and more of them: a connection through one, from outside, and one element more of
/// the map. Beside it the same container by its own address, through the same chains; and a host without rules.
@MainActor struct Ports {
  let settings: Settings
  let notebook: Notebook

  func measure() async throws {
    let traffic = try Traffic(settings, notebook)
    try measurePlain(traffic)
    let world = try Playground()
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    // Open, so that the same container is reached by its own address as well.
    let policy = NetworkPolicy(gatewayModeIPv4: .natUnprotected)
    try await controller.createNetwork(
      "net", options: NetworkOptions(subnet: try Subnet("10.60.0.0/16"), policy: policy))
    try world.routeOutside(to: "10.60.0.0/16")
    let first = try await controller.attach(
      "first", to: .network("net"), options: AttachOptions(ports: [try PortMapping("8000:80")]))
    let elements = try Elements(on: world.host)
    defer { elements.finish() }
    var published = 1
    for count in settings.portCounts {
      while published < count {
        let more = min(99, count - published)
        let port = 9_999 + published
        try await controller.attach(
          "c\(published)", to: .network("net"),
          options: AttachOptions(ports: [try PortMapping("\(port)-\(port + more - 1):\(port)-\(port + more - 1)")]))
        published += more
      }
      try traffic.measure(
        .library, ports: count, from: world.outside, to: Playground.hostAddress, 8_000, in: first.namespace)
      try traffic.measure(
        .ownAddress, ports: count, from: world.outside, to: "\(first.endpoints[0].address.address)", 80,
        in: first.namespace)
      try elements.measure(ports: count, rounds: max(50, settings.connections / 10), notebook)
    }
    try await controller.removeAll(isFinal: true)
  }

  /// A container behind a bridge of a host that forwards and has no rules at all.
  private func measurePlain(_ traffic: Traffic) throws {
    let world = try Playground()
    let container = try NetworkNamespace.create()
    let bridge = try world.host.links.createBridge(
      try InterfaceName("plain"), macAddress: MACAddress(ipv4: IPv4Address(10, 60, 0, 1)), mtu: 1_500)
    try world.host.addresses.add(try InterfaceAddress("10.60.0.1/16"), to: bridge.index)
    try world.host.links.setUp(index: bridge.index)
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName("port"), master: bridge.index),
      peer: VethEnd(try InterfaceName("eth0"), namespace: container.handle.descriptor))
    try world.host.links.setUp(index: cable.index)
    let end = try container.links.get("eth0").index
    try container.addresses.add(try InterfaceAddress("10.60.0.2/16"), to: end)
    try container.links.setUp(index: end)
    try container.routes.add(Route(to: .all(.ipv4), via: try IPAddress("10.60.0.1"), link: end))
    try world.host.setSysctl("net/ipv4/ip_forward", to: "1")
    try world.routeOutside(to: "10.60.0.0/16")
    try traffic.measure(.plain, ports: 0, from: world.outside, to: "10.60.0.2", 80, in: container)
  }
}

extension Playground {
  /// Has the machine outside reach a network of containers by way of the host.
  fileprivate func routeOutside(to subnet: String) throws {
    try outside.routes.add(
      Route(to: try Subnet(subnet), via: try IPAddress(Self.hostAddress), link: try outside.links.get("eth0").index))
  }
}
