import ContainerNetworking
import Playground
import Testing

/// Ipvlan networks on the machine's kernel: made where it has ipvlans, and else refused with the module that it lacks.
@Suite(.timeLimit(.minutes(10))) struct IpvlanTests {
  @Test(arguments: IpvlanMode.allCases) func kernelDecidesWhetherThereAreSome(_ mode: IpvlanMode) async throws {
    let world = try Playground()
    let before = try world.host.contents(world)
    let controller = try await NetworkController(host: world.host)
    var options = NetworkOptions(
      driver: .ipvlan, subnet: try Subnet("203.0.113.0/24"), gateway: try IPAddress(Playground.outsideAddress),
      parent: try InterfaceName("eth0"))
    options.ipvlanMode = mode
    do {
      try await controller.createNetwork("lan", options: options)
      let web = try await controller.attach("web", to: .network("lan"))
      #expect(try web.namespace.links.get("eth0").ipvlanMode == mode)
      #expect(try web.namespace.links.get("eth0").macAddress == world.host.links.get("eth0").macAddress)
      #expect(try await controller.differences() == [])
      if mode == .l2 { #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4)) }
    } catch let error as NetworkError {
      #expect(error.code == .unsupported, "\(error)")
      #expect(
        error.description.contains("this kernel has no ipvlan links; load the module (modprobe ipvlan)"), "\(error)")
    }
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }
}
