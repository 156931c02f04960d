import ContainerNetworking
import Playground

// Container mode: a container joins the namespace of another. They share one eth0, one address, one localhost. The
// namespace lives until the last of them is detached, in any order.

await Playground.run { world, controller in
  let donor = try await controller.attach("app")
  let sharer = try await controller.attach("sidecar", to: NetworkMode("container:app"))
  try world.show("app, mode bridge", donor.namespace)
  try world.show("sidecar, mode container:app", sharer.namespace)
  print("the same namespace:", donor.namespace.identity == sharer.namespace.identity)

  let server = try world.serve("hello over localhost", port: 9000, in: donor.namespace)
  defer { server.stop() }
  try world.showFetch("from sidecar", "127.0.0.1", 9000, from: sharer.namespace)

  try await controller.detach("app")
  print("app is detached; sidecar still has", try sharer.namespace.links.list().map(\.name).joined(separator: " "))
  if let gateway = sharer.endpoints.first?.gateway {
    try world.showPing("the gateway", "\(gateway)", from: sharer.namespace)
  }
}
