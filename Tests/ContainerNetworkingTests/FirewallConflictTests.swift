import Netlink
import Playground
import Testing

@testable import ContainerNetworking

/// Elements in messages are in the form in which `nft list` shows them.
@Suite(.timeLimit(.minutes(5))) struct FirewallConflictTests {
  @Test func elementsAreAsNftPrintsThem() async throws {
    let world = try Playground(isDualStack: true)
    let controller = try await NetworkController(host: world.host)
    var options = try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"])
    options.policy.trustedInterfaces = [try InterfaceName("eth0")]
    try await controller.createNetwork("blue", options: options)
    try await controller.createNetwork("inside", options: try NetworkOptions(["10.71.0.0/24"], isInternal: true))
    try await controller.attach(
      "web", to: .network("blue"),
      options: AttachOptions(
        ports: ["8080:80", "5353:53/udp", "127.0.0.1:9090:90"].map { try PortMapping($0) }))
    try await controller.connect("web", to: "inside")
    let content = try controller.engine.firewall.content()
    var types: Set<NftDataType> = []
    for set in FirewallSets.all {
      let elements = (content.own[set.name] ?? []) + (content.shared[set.name] ?? [])
      guard !elements.isEmpty else { continue }
      let shown = try #require(
        try world.output("nft", "list", "set", "\(set.table.family)", set.table.name, set.name, in: world.host)
          ?? world.output("nft", "list", "map", "\(set.table.family)", set.table.name, set.name, in: world.host))
      for found in elements {
        let text = Firewall.text(of: try found.element(of: set).key, set.key)
        // nft looks the name of a link's index up.
        let isShown = set.key == [.interfaceIndex] ? Int32(text) != nil : shown.contains(text)
        #expect(isShown, "\(text) in \(shown)")
      }
      types.formUnion(set.key)
    }
    #expect(types.count == 8)
    try await controller.removeAll()
  }
}
