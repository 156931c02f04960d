import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// Changing whom a network's containers ask for what is no name of it.
@Suite struct NetworkNameServerTests {
  @Test func containersAskTheNewOnes() async throws {
    let world = try await NamedWorld()
    var options = NetworkOptions(subnet: try Subnet("10.7.0.0/24"))
    (options.nameServing, options.dnsServers) = (.off, [try IPAddress("192.0.2.1")])
    let made = try await world.controller.createNetwork("blue", options: options)
    let files = try #require(try await world.controller.attach("web", to: .network("blue")).files)
    #expect(try lines(files.resolvConf).first == "nameserver 192.0.2.1")
    let servers = [try IPAddress("192.0.2.7"), try IPAddress("192.0.2.8")]
    let changed = try await world.controller.setDNSServers(servers, of: String(made.id.prefix(12)))
    #expect(changed.dnsServers == servers)
    #expect(try await world.controller.network("blue").dnsServers == servers)
    #expect(try lines(files.resolvConf).prefix(2) == ["nameserver 192.0.2.7", "nameserver 192.0.2.8"])
    // Of a container that comes later, too; and none for the host's.
    let later = try #require(try await world.controller.attach("later", to: .network("blue")).files)
    #expect(try lines(later.resolvConf).first == "nameserver 192.0.2.7")
    #expect(try await world.controller.setDNSServers([], of: "blue").dnsServers == nil)
    #expect(try lines(files.resolvConf).first == "nameserver 192.0.2.53")
    #expect(try await world.close() == [])
  }

  @Test func whatIsWrongChangesNothing() async throws {
    let world = try await NamedWorld()
    let options = NetworkOptions(subnet: try Subnet("10.7.0.0/24"), dnsServers: [try IPAddress("192.0.2.1")])
    try await world.controller.createNetwork("blue", options: options)
    try await world.controller.attach("web")
    let server = try IPAddress("192.0.2.7")
    for (servers, network, code) in [
      ([server, try IPAddress("0.0.0.0")], "blue", NetworkError.Code.invalidValue), ([server], "green", .notFound),
      ([server], "bridge", .refused),
    ] {
      let error = await #expect(throws: NetworkError.self) {
        try await world.controller.setDNSServers(servers, of: network)
      }
      #expect(error?.code == code, "\(error?.description ?? "")")
    }
    #expect(try await world.controller.network("blue").dnsServers?.map(\.description) == ["192.0.2.1"])
    #expect(try await world.close() == [])
  }
}
