import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Playground
import Testing

/// The graph, and its pictures.
@Suite struct GraphTests {
  /// So many containers on two networks, every third on both, with names as long as they like.
  private func graph(_ count: Int, name: (Int) -> String = { "c\($0)" }) throws -> NetworkGraph {
    func interface(_ network: Int, _ index: Int) throws -> NetworkGraph.Interface {
      NetworkGraph.Interface(
        name: try InterfaceName("eth\(network)"), network: "net\(network)",
        hostInterface: try InterfaceName("veth\(network)\(index)"), macAddress: try MACAddress("02:42:0a:00:00:02"),
        addresses: [
          try InterfaceAddress("10.\(network).\(index / 200).\(index % 200 + 2)/16"),
          try InterfaceAddress("fd00:\(network)::\(index)/64"),
        ],
        defaultRoutes: network == 0 ? [.ipv4, .ipv6] : [],
        ports: index % 2 == 0
          ? [PublishedPort(hostAddress: nil, hostPort: 8000, containerPort: 80, transport: .tcp)] : [])
    }
    let networks = try (0..<2).map { number in
      NetworkGraph.Network(
        name: "net\(number)", bridge: try InterfaceName("br\(number)"),
        subnets: [
          NetworkGraph.Subnetwork(try Subnet("10.\(number).0.0/24"), gateway: try IPAddress("10.\(number).0.1"))
        ], isInternal: number == 1)
    }
    let containers = try (0..<count).map { index in
      NetworkGraph.Container(
        name: name(index), mode: .network("net0"),
        interfaces: try (index % 3 == 0 ? [0, 1] : [index % 2]).map { try interface($0, index) },
        sharers: index % 4 == 0 ? ["sidecar\(index)"] : [])
    }
    return NetworkGraph(
      uplinks: [
        NetworkGraph.Uplink(
          name: "eth0", addresses: [try InterfaceAddress("203.0.113.1/24")], gateways: [try IPAddress("203.0.113.254")])
      ], networks: count == 0 ? [] : networks, containers: containers)
  }

  @Test(arguments: [0, 1, 2, 5, 9, 50, 300]) func boxesAreApartOrInEachOther(count: Int) throws {
    let picture = try Picture(
      graph(count) { "container-with-a-long-name-\($0)-" + String(repeating: "x", count: $0) }.svg())
    #expect(picture.boxes.count >= count)
    for box in picture.boxes { #expect(picture.whole.contains(box), "\(box) leaves the picture") }
    // Rows of 300 containers: each with its neighbours in the order of their places is enough.
    for (index, first) in picture.boxes.enumerated() {
      for second in picture.boxes[(index + 1)...] {
        #expect(
          !first.intersects(second) || first.contains(second) || second.contains(first), "\(first) crosses \(second)")
      }
    }
    #expect(picture.size.width < 1_700)
    for index in 0..<count { #expect(picture.texts.contains { $0.hasPrefix("container-with-a-long-name-\(index)") }) }
  }

  @Test func textsAreEscaped() throws {
    let nasty = "<a href=\"x\">&\u{1}]]>"
    let graph = NetworkGraph(
      uplinks: [NetworkGraph.Uplink(name: nasty, addresses: [], gateways: [try IPAddress("192.0.2.1")])],
      containers: [NetworkGraph.Container(name: "c", mode: .host)])
    let picture = try Picture(graph.svg(marking: NetworkGraph.Path(nasty, [.init(.host, nasty)])))
    #expect(picture.texts.contains("<a href=\"x\">&\u{fffd}]]>"))
    let chart = graph.mermaid()
    #expect(chart.contains("#60;a href=#34;x#34;#62;#38; ]]#62;"))
    #expect(!chart.contains("<a"))
  }

  @Test func aPathIsMarkedStepByStep() throws {
    let path = NetworkGraph.Path(
      "out",
      [
        .init(.container("c0"), "leaves"), .init(.network("net0"), "by its bridge"), .init(.host, "is routed"),
        .init(.uplink("eth0"), "goes"), .init(.outside, "is gone"),
      ])
    let graph = try graph(5)
    let picture = try Picture(graph.svg(marking: path))
    #expect(picture.paths == 4)
    for step in 1...5 { #expect(picture.texts.count { $0 == "\(step)" } == 2, "number \(step)") }
    for stop in path.stops { #expect(picture.texts.contains(stop.text)) }
    let chart = graph.mermaid(marking: path)
    #expect(chart.matches(of: #/linkStyle \d+ stroke/#).count == 4)
    #expect(chart.contains("class container0,net0,outside,routing,uplink0 step"))
  }

  @Test func simulatedHost() async throws {
    let kernel = SimulatedKernel()
    let controller = try await NetworkController(host: try NetworkNamespace.create(on: kernel))
    let empty = try await controller.graph()
    #expect(empty == NetworkGraph())
    try await controller.attach("web")
    let graph = try await controller.graph()
    #expect(graph.networks.map(\.name) == ["bridge"])
    #expect(graph.containers.map(\.name) == ["web"])
    try await controller.removeAll()
  }

  /// The pictures of the documents show the host's real state.
  @Test(.timeLimit(.minutes(5))) func pictureOfAHost() async throws {
    let world = try Playground()
    try world.host.routes.add(
      Route(
        to: .all(.ipv4), via: try IPAddress(Playground.outsideAddress), link: try world.host.links.get("eth0").index))
    let controller = try await NetworkController(host: world.host)
    try await controller.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    try await controller.attach("logger", to: .container("web"))
    try await controller.createNetwork("front", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    try await controller.createNetwork("back", options: NetworkOptions(["10.61.0.0/24"], isInternal: true))
    try await controller.attach(
      "api", to: .network("front"), options: AttachOptions(ports: [try PortMapping("443:8443")]))
    try await controller.connect("api", to: "back")
    try await controller.attach("db", to: .network("back"))
    try await controller.attach("monitor", to: .host)
    try await controller.attach("batch", to: .none)

    let graph = try await controller.graph()
    #expect(graph.uplinks.map(\.name) == ["eth0"])
    #expect(graph.uplinks.first?.gateways.map(\.description) == [Playground.outsideAddress])
    #expect(graph.networks.map(\.name) == ["bridge", "back", "front"])
    #expect(graph.containers.map(\.name) == ["api", "batch", "db", "monitor", "web"])
    let web = try #require(graph.containers.last)
    #expect(web.sharers == ["logger"])
    #expect(web.interfaces.map(\.addresses) == [[try InterfaceAddress("172.17.0.2/16")]])
    let api = try #require(graph.containers.first)
    #expect(api.interfaces.map(\.defaultRoutes) == [[.ipv4, .ipv6], []])
    #expect(try JSONDecoder().decode(NetworkGraph.self, from: JSONEncoder().encode(graph)) == graph)
    _ = try Picture(graph.svg())
    try expectDocument("Pictures/Networks.svg", Self.stable(graph.svg()))
    try expectDocument("Pictures/Networks.mmd", Self.stable(graph.mermaid()))
    try await controller.removeAll()
  }

  /// As it was written before networks grew over several bridges.
  @Test func aGraphOfAnEarlierVersionIsRead() throws {
    let json = """
      {"networks":[{"name":"net","driver":"bridge","bridge":"br0","subnets":[{"subnet":"10.0.0.0/24"}],"isInternal":true,
      "policy":POLICY}],"uplinks":[],"containers":[]}
      """
    let policy = String(decoding: try JSONEncoder().encode(NetworkPolicy()), as: UTF8.self)
    let graph = try JSONDecoder().decode(NetworkGraph.self, from: Data(json.replacing("POLICY", with: policy).utf8))
    let network = NetworkGraph.Network(
      name: "net", bridge: try InterfaceName("br0"),
      subnets: [NetworkGraph.Subnetwork(try Subnet("10.0.0.0/24"))], isInternal: true)
    #expect(graph == NetworkGraph(networks: [network]))
  }

  /// Removes the parts that differ between runs.
  static func stable(_ text: String) -> String {
    text.replacing(#/veth[0-9a-f]{8}/#, with: "veth01234567").replacing(#/br-[0-9a-f]{12}/#, with: "br-0123456789ab")
      .replacing(#/([> ])(?!02:42)[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/#) { "\($0.output.1)0a:00:00:00:00:01" }
  }
}

/// Compares a text with a file of the documents; with UPDATE_DOCUMENTS=1 the file is written.
func expectDocument(_ name: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
  let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Documentation/\(name)")
  if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try Data(text.utf8).write(to: file) }
  let written = try String(contentsOf: file, encoding: .utf8)
  #expect(
    written == text, "\(name) differs; run UPDATE_DOCUMENTS=1 swift test, and look at the change",
    sourceLocation: sourceLocation)
}
