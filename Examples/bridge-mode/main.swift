import ContainerNetworking
import Playground

// Bridge mode: the container has an eth0 of its own. Its other end is a port of the bridge cn0 on the host, which is
// also the gateway. Outgoing traffic gets the host's address (NAT); incoming traffic needs a published port.

await Playground.run { world, controller in
  let web = try await controller.attach(
    "web", to: .bridge, options: AttachOptions(ports: [PortMapping("8080:80")]))
  try world.show("web, mode bridge", web.namespace)

  guard let endpoint = web.endpoints.first, let gateway = endpoint.gateway else {
    throw NetworkError(.notFound, operation: "show web", reason: "it has no endpoint with a gateway")
  }
  try world.showPing("the gateway", "\(gateway)", from: web.namespace)
  if !world.isMachine {
    try world.showPing("the host", Playground.hostAddress, from: web.namespace)
    try world.showPing("the outside", Playground.outsideAddress, from: web.namespace)
    // The answer returns because the host tracks the connection; the outside cannot start one...
    try world.showPing(
      "the container, from outside,", "\(endpoint.address.address)", from: world.outside, isAnswered: false)
  }

  // ...but by a published port: the host's 8080 is the container's 80.
  let server = try world.serve("hello from web", port: 80, in: web.namespace)
  defer { server.stop() }
  print("published:", endpoint.ports.map(\.description).joined(separator: ", "))
  let client = world.isMachine ? world.host : world.outside
  let address = world.isMachine ? "127.0.0.1" : Playground.hostAddress
  try world.showFetch("from the \(world.isMachine ? "host" : "outside")", address, 8080, from: client)
}
