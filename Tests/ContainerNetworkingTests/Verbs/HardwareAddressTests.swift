import Foundation
import Playground
import Testing

@testable import ContainerNetworking

/// No two of a network have one hardware address.
@Suite(.timeLimit(.minutes(5))) struct HardwareAddressTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
  }

  private func attach(_ name: String, _ mac: String? = nil, to network: String = "net") async throws -> Endpoint {
    var options = AttachOptions()
    options.endpoint.macAddress = try mac.map { try MACAddress($0) }
    return try await controller.attach(name, to: .network(network), options: options).endpoints[0]
  }

  private func expectTaken(_ mac: String, by owner: String, on network: String = "net") async throws {
    let error = await refusal { try await attach("late", mac, to: network) }
    #expect(error?.code == .inUse, "\(mac): \(error as Any)")
    let text = error?.description ?? ""
    #expect(text.contains("the MAC address \(mac) belongs to \(owner)"), "\(text)")
  }

  @Test func oneThatIsTakenIsRefusedWithItsOwner() async throws {
    let network = try await controller.createNetwork("net", options: try NetworkOptions(["10.20.0.0/24"]))
    _ = try await attach("web")
    _ = try await attach("db", "02:42:00:00:00:07")
    try await expectTaken("02:42:0a:14:00:02", by: "\"web\", which derives it from its address 10.20.0.2")
    try await expectTaken("02:42:00:00:00:07", by: "\"db\"")
    try await expectTaken("02:42:0a:14:00:01", by: "the bridge \(try #require(network.bridge))")
    // On another network it is another's.
    try await controller.createNetwork("other", options: try NetworkOptions(["10.21.0.0/24"]))
    #expect(try await attach("late", "02:42:00:00:00:07", to: "other").macAddress.description == "02:42:00:00:00:07")
    // And free once its owner is gone.
    try await controller.detach("db")
    _ = try await attach("db2", "02:42:00:00:00:07")
    // A container's own, asked for by name, is its own.
    try await controller.detach("web")
    let own = AttachOptions(address: try IPAddress("10.20.0.2"), macAddress: try MACAddress("02:42:0a:14:00:02"))
    try await controller.attach("web", to: .network("net"), options: own)
    try await controller.removeAll()
  }

  @Test func aDerivedOneStepsAside() async throws {
    try await controller.createNetwork("net", options: try NetworkOptions(["10.20.0.0/24"]))
    let first = try await attach("first", "02:42:0a:14:00:03")
    #expect(first.address.description == "10.20.0.2/24")
    let second = try await controller.attach("second", to: .network("net"))
    let other = second.endpoints[0]
    #expect(other.address.description == "10.20.0.3/24")
    #expect(other.macAddress != first.macAddress)
    #expect(other.macAddress.isLocallyAdministered && !other.macAddress.isMulticast)
    #expect(try second.namespace.links.get("eth0").macAddress == other.macAddress)
    #expect(try world.pings("10.20.0.2", from: second.namespace, within: 5))
    #expect(try world.pings("10.20.0.1", from: second.namespace, within: 5))
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test func bridgesWithoutAnIPv4GatewayHaveOneToCompare() async throws {
    var options = try NetworkOptions(["fd00:20::/64"])
    options.isIPv4Enabled = false
    try await controller.createNetwork("six", options: options)
    var isolated = try NetworkOptions(["10.22.0.0/24"], isInternal: true)
    isolated.policy.gatewayModeIPv4 = .isolated
    try await controller.createNetwork("alone", options: isolated)
    for name in ["six", "alone"] {
      let bridge = try #require(try await controller.network(name).bridge)
      let mac = try #require(try world.host.links.get("\(bridge)").macAddress)
      try await expectTaken("\(mac)", by: "the bridge \(bridge)", on: name)
      let web = try await attach("web-\(name)", to: name)
      try await expectTaken("\(web.macAddress)", by: "\"web-\(name)\"", on: name)
    }
    // An existing bridge has an address of its own.
    let link = try world.host.links.createBridge(try InterfaceName("br-own"))
    try world.host.addresses.add(InterfaceAddress("10.23.0.1/24"), to: link.index)
    let own = NetworkOptions(bridge: try InterfaceName("br-own"))
    try await controller.createNetwork("own", options: own)
    let mac = try #require(try world.host.links.get("br-own").macAddress)
    try await expectTaken("\(mac)", by: "the bridge br-own", on: "own")
    try await controller.removeAll()
  }

  @Test func aParentsIsTheParents() async throws {
    let mac = try #require(try world.host.links.get("eth0").macAddress)
    try await controller.createNetwork(
      "lan",
      options: NetworkOptions(
        driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), parent: try InterfaceName("eth0")))
    try await expectTaken("\(mac)", by: "the parent eth0", on: "lan")
    _ = try await attach("web", "02:42:00:00:00:09", to: "lan")
    try await expectTaken("02:42:00:00:00:09", by: "\"web\"", on: "lan")
    try await controller.removeAll()
  }

  @Test(arguments: [
    ("01:00:5e:00:00:01", "a multicast address"), ("ff:ff:ff:ff:ff:ff", "a multicast address"),
    ("00:00:00:00:00:00", "all zeros"),
  ])
  func whatNoInterfaceCanHaveIsRefused(_ mac: String, _ why: String) async throws {
    try await controller.createNetwork("net", options: try NetworkOptions(["10.20.0.0/24"]))
    try await controller.createNetwork(
      "lan",
      options: NetworkOptions(
        driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), parent: try InterfaceName("eth0")))
    for network in ["net", "lan"] {
      let error = await refusal { try await attach("web", mac, to: network) }
      #expect(error?.code == .invalidValue)
      #expect(error?.description.contains("the MAC address \(mac) is \(why)") == true, "\(error as Any)")
    }
    try await controller.removeAll()
  }
}
