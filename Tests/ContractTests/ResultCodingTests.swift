import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Testing

/// The JSON form of results: both ways, and as the page has it.
@Suite struct ResultCodingTests {
  private func kernelDecoder(_ kernel: any Kernel) -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.userInfo[.networkKernel] = kernel
    return decoder
  }

  @Test(arguments: KernelUnderTest.available) func resultsOfVerbs(_ which: KernelUnderTest) async throws {
    var settings = ControllerSettings(reservesPorts: false)
    settings.resolvers = []
    let controller = try await NetworkController(host: .create(on: which.make()), settings: settings)
    try await controller.createNetwork(
      "blue", options: NetworkOptions(subnets: [Subnet("10.1.0.0/24"), Subnet("fd00:1::/64")]))
    let options = AttachOptions(
      ports: [try PortMapping("8080:80"), try PortMapping("53:53/udp")],
      endpoint: EndpointOptions(addresses: [try IPAddress("10.1.0.9")], aliases: ["db"], labels: ["by": "us"]),
      names: NameOptions(hostname: "web", domainname: "example.org"))
    let web = try await controller.attach("web", to: .network("blue"), options: options)
    let text = try JSONEncoder().encode(web)
    let decoder = kernelDecoder(controller.host.kernel)
    let back = try decoder.decode(Sandbox.self, from: text)
    #expect(back == web && back.namespace.identity == web.namespace.identity && back.endpoints == web.endpoints)
    // The namespace can be used.
    #expect(try back.namespace.links.list().map(\.name) == ["lo", "eth0"])
    for mode in [NetworkMode.host, .none, .container("web")] {
      let other = try await controller.attach("other", to: mode, options: AttachOptions())
      #expect(try decoder.decode(Sandbox.self, from: JSONEncoder().encode(other)) == other)
      try await controller.detach("other")
    }
    #expect(throws: DecodingError.self) {
      let elsewhere = String(decoding: text, as: UTF8.self)
        .replacing("\(web.namespace.identity.inode)", with: "\(web.namespace.identity.inode + 1)")
      _ = try decoder.decode(Sandbox.self, from: Data(elsewhere.utf8))
    }
    try web.namespace.links.setDown(index: web.namespace.links.get("eth0").index)
    let differences = try await controller.differences()
    #expect(!differences.isEmpty)
    #expect(try decoder.decode([Difference].self, from: JSONEncoder().encode(differences)) == differences)
    let events = try await controller.events().map(\.event)
    #expect(events.count > 1)
    #expect(try decoder.decode([NetworkEvent].self, from: JSONEncoder().encode(events)) == events)
    try await controller.removeAll()
  }

  /// The blocks of the page are read, and written as they are there.
  @Test func formsOfThePage() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Documentation/Adapters.md")
    let text = try String(contentsOf: page.standardizedFileURL, encoding: .utf8)
    let blocks = text.matches(of: #/(?s)```json\n(.*?)```/#).map { String($0.1) }
    try #require(blocks.count == 4)
    let kernel = SimulatedKernel()
    let namespace = try NetworkNamespace.create(on: kernel)
    try namespace.pin(at: "/run/netns/web")
    let sandbox = blocks[0].replacing("4026532201", with: "\(namespace.identity.inode)")
    try expectSame(Sandbox.self, sandbox, kernelDecoder(kernel))
    try expectSame(Endpoint.self, blocks[1], JSONDecoder())
    try expectSame(Difference.self, blocks[2], JSONDecoder())
    try expectSame(NetworkEvent.self, blocks[3], JSONDecoder())
  }

  private func expectSame<Value: Codable>(_ type: Value.Type, _ text: String, _ decoder: JSONDecoder) throws {
    let written = try JSONEncoder().encode(decoder.decode(type, from: Data(text.utf8)))
    let (found, wanted) = (
      try JSONSerialization.jsonObject(with: written) as? NSDictionary,
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary
    )
    #expect(found == wanted)
  }

  /// What version 0.1.0 wrote, without the fields that came later, and what a later version may write.
  @Test func formsOfOtherVersions() throws {
    let endpoint = """
      {"id": "e1", "networkID": "n1", "networkName": "blue", "container": "web", "sandboxID": "s1", "interface": "eth0",
       "macAddress": "02:42:0a:01:00:09", "addresses": ["10.1.0.9/24"], "staticAddresses": [], "gateways": [],
       "gatewayPriority": 0, "aliases": [], "ports": [], "phase": "ready", "owner": "", "colour": "blue"}
      """
    let read = try JSONDecoder().decode(Endpoint.self, from: Data(endpoint.utf8))
    #expect(read.labels == nil && read.hostInterface == nil && read.container == "web")
    let kernel = SimulatedKernel()
    try NetworkNamespace.create(on: kernel).pin(at: "/run/netns/web")
    let text = #"{"container": "web", "id": "s1", "mode": "bridge", "namespace": {"path": "/run/netns/web"}, "new": 1}"#
    let sandbox = try kernelDecoder(kernel).decode(Sandbox.self, from: Data(text.utf8))
    #expect(sandbox.endpoints == [] && sandbox.warnings == [] && sandbox.files == nil)
    let gone = text.replacing("/run/netns/web", with: "/run/netns/gone")
    #expect(throws: DecodingError.self) {
      _ = try kernelDecoder(kernel).decode(Sandbox.self, from: Data(gone.utf8))
    }
    let options = try JSONDecoder().decode(EndpointOptions.self, from: Data(#"{"aliases": ["db"]}"#.utf8))
    #expect(options.labels == [:] && options.aliases == ["db"])
  }
}
