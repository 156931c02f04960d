import ContainerNetworking
import ContainerNetworkingTestKit

/// The driver, on a kernel in memory: what a controller does with it, and what one does without.
@main struct OutsideDriver {
  static func main() async throws {
    let kernel = SimulatedKernel()
    let host = try NetworkNamespace.create(on: kernel)
    let store = MemoryStore()
    var settings = ControllerSettings(resolvers: [])
    settings.drivers = [CableDriver(host: host)]
    let controller = try await NetworkController(host: host, store: store, settings: settings)

    var options = NetworkOptions(driver: NetworkDriver("cable"), subnet: try Subnet("10.9.0.0/24"))
    try options.setDriverOption("cable_metric", "fast")
    do { try await controller.createNetwork("lines", options: options) } catch {
      print(error.code, error.reason)
    }
    try options.setDriverOption("cable_metric", "7")
    let network = try await controller.createNetwork("lines", options: options)
    print(network.driver, network.driverState ?? [:], network.bridge == nil)

    let web = try await controller.attach("web", to: .network("lines"))
    print(web.endpoints[0].address, try host.links.list().count)
    for route in try host.routes.list() where route.metric == 7 {
      print("host:", route.destination)
    }
    for route in try web.namespace.routes.list() where route.destination.prefixLength == 0 {
      print("web:", route.destination, route.gateway == nil)
    }
    let several = await controller.attach(
      (1...3).map { AttachRequest("c\($0)", to: .network("lines")) })
    print(try several.map { try $0.get().endpoints[0].address.description })
    let warned = try await controller.attach(
      "ports", to: .network("lines"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    print(warned.warnings.count, try await controller.differences().count)

    // A cable is pulled out, and plugged in again.
    let name = "cable\(web.endpoints[0].id.prefix(8))"
    try host.links.delete(index: host.links.get(name).index)
    print(try await controller.differences().map(\.kind))
    let report = try await controller.reconcile()
    print(
      report.remaining.count, report.failures.count,
      try web.namespace.routes.list().count { $0.destination.prefixLength == 0 })

    // Every request of an attach is refused in turn: nothing is left behind.
    let whole = kernel.snapshot()
    var number = 0
    var left = 0
    while true {
      number += 1
      kernel.failRequest(number: number)
      do {
        try await controller.attach("late", to: .network("lines"))
        if kernel.isFaultPending { break }
        try await controller.detach("late")
      } catch { if kernel.snapshot() != whole { left += 1 } }
    }
    kernel.clearFaults()
    try await controller.detach("late")
    print(number > 4, left)

    // Without the driver the network is shown, and left alone.
    let other = try await NetworkController(
      host: host, store: store, settings: ControllerSettings(resolvers: []))
    print(try await other.networks().map(\.driver), try await other.differences().map(\.kind))
    do { try await other.detach("web") } catch { print(error.code, error.reason) }

    settings.drivers.append(CableDriver(host: host))
    do { _ = try await NetworkController(host: host, settings: settings) } catch {
      print(error.code, error.reason)
    }
    try await controller.removeAll()
    print(try host.links.list().map(\.name), try host.routes.list().contains { $0.metric == 7 })
  }
}
