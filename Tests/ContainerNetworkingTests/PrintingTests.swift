import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Testing

/// The printed forms of values: one line each for people, all fields for a debugger.
@Suite struct PrintingTests {
  private let kernel = SimulatedKernel()

  private func makeController() async throws -> NetworkController {
    let controller = try await NetworkController(host: .create(on: kernel))
    try await controller.createNetwork(
      "blue",
      options: NetworkOptions(
        subnet: Subnet("192.168.50.0/24"), subnets: [Subnet("fd00:50::/64")], bridge: InterfaceName("blue0")))
    return controller
  }

  @Test func eachIsALine() async throws {
    let controller = try await makeController()
    let sandbox = try await controller.attach(
      "web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("127.0.0.1:8080:80")]))
    #expect("\(sandbox)" == "web (blue): eth0 192.168.50.2/24 fd00:50::2/64, in \(sandbox.namespace.path)")
    #expect("\(sandbox.endpoints[0])" == "web on blue: eth0 192.168.50.2/24 fd00:50::2/64, 127.0.0.1:8080->80/tcp")
    let network = try await controller.network("blue")
    #expect("\(network)" == "network blue (bridge blue0): 192.168.50.0/24, fd00:50::/64")
    #expect("\(network.subnets[0])" == "192.168.50.0/24, gateway 192.168.50.1")
    let inspection = try await controller.inspect("blue")
    #expect(
      "\(inspection)"
        == "\(network); 1 endpoint; \(inspection.usage[0]); \(inspection.usage[1])")
    let usage = inspection.usage[0]
    #expect("\(usage)" == "192.168.50.0/24: \(usage.inUse) in use, \(usage.available) available")
    let event = try #require(try await controller.events().last)
    #expect(
      "\(event.event)" == "\(event.event.time) network connect \(network.id) (container=web, name=blue)")
    let events = controller.eventStream(after: event.number - 1)
    let element = try await events.first { _ in true }
    #expect(element?.description == "\(event.number) \(event.event)")
    let report = try await controller.reconcile()
    #expect("\(report)" == "0 differences found, 0 remaining, 0 failures")
    #expect("\(try await controller.readySandboxes(on: "blue"))" == "0 of 0 ready")
    #expect("\(NetworkOptions(isInternal: true))" == "bridge, internal")
    #expect("\(EndpointOptions())" == "no wishes")
    let options = try AttachOptions(ports: [PortMapping("80")], address: IPAddress("10.0.0.9"))
    #expect("\(options)" == "80/tcp, 10.0.0.9")
    #expect("\(Command("busybox", ["httpd", "-f"]))" == "busybox httpd -f")
    #expect("\(sandbox.namespace)" == "\(sandbox.namespace.identity) at \(sandbox.namespace.path)")
    let route = try #require(try sandbox.namespace.routes.list().first { $0.gateway != nil })
    #expect("\(route)".hasPrefix("0.0.0.0/0 via 192.168.50.1 by link "))
    let link = try sandbox.namespace.links.get("eth0")
    #expect("\(link)".hasPrefix("\(link.index): eth0, veth, up, mtu 1500, 02:42:"))
    try await controller.detach("web")
    let pruned = try await controller.prune()
    #expect("\(pruned)" == "removed blue")
  }

  /// A line has no line break and no module's name; a debug description has every field.
  @Test func debugDescriptionHasAll() async throws {
    let controller = try await makeController()
    let sandbox = try await controller.attach(
      "web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let network = try await controller.network("blue")
    let delta = try await storeContents()
    #expect(Set(delta.changes.map(kind)).isSuperset(of: ["network", "sandbox", "endpoint"]))
    let values: [any CustomStringConvertible & CustomDebugStringConvertible] =
      [
        sandbox, sandbox.endpoints[0], sandbox.endpoints[0].ports[0], network, network.subnets[0],
        try await controller.inspect("blue"), try await controller.reconcile(), NetworkOptions(), EndpointOptions(),
        AttachOptions(), try PortMapping("80"), AttachRequest("web"), Command("true"), delta,
        try sandbox.namespace.links.get("eth0"), try await controller.events()[0].event,
      ] + delta.changes
    for value in values {
      let line = value.description
      #expect(!line.contains("\n") && !line.contains("ContainerNetworking.") && !line.contains("Optional("), "\(line)")
      let all = value.debugDescription
      #expect(!all.contains("Optional("), "\(all)")
      for child in Mirror(reflecting: value).children {
        guard let label = child.label, !(value is StoreChange) else { continue }
        #expect(all.contains("\(label): "), "\(label) of \(all)")
      }
    }
    #expect(network.debugDescription.hasPrefix("NetworkRecord(id: \"\(network.id)\", name: \"blue\", created: "))
    #expect(sandbox.endpoints[0].debugDescription.contains("hostPort: 8080, containerPort: 80"))
  }

  private func kind(_ change: StoreChange) -> String {
    if case .save(let record) = change { return "\(record.key.kind)" }
    return ""
  }

  /// All kinds of records.
  private func storeContents() async throws -> StoreDelta {
    let store = MemoryStore()
    let controller = try await NetworkController(host: .create(on: SimulatedKernel()), store: store)
    try await controller.attach("web")
    return store.read(since: 0)
  }

  @Test(arguments: ["80/tcp", "8080:80/tcp", "8000-8002:80-82/udp", "127.0.0.1:8080:80/tcp", "[::1]::53/udp"])
  func portMappingIsTheTextThatItIsReadFrom(_ text: String) throws {
    let mapping = try PortMapping(text)
    #expect(mapping.description == text)
    #expect(try PortMapping(mapping.description) == mapping)
  }

  @Test func sandboxesAreEqualByWhatTheyAre() async throws {
    let controller = try await makeController()
    let web = try await controller.attach("web", to: .network("blue"))
    let other = try await controller.attach("other", to: .network("blue"))
    #expect(Set([web, other, try await controller.sandbox("web")]) == [web, other])
  }
}
