import ContainerNetworking
import Playground

// Host mode: the container is not isolated at all. It sees exactly the host's interfaces, and its ports are the host's.

await Playground.run { world, controller in
  let monitor = try await controller.attach(
    "monitor", to: .host, options: AttachOptions(ports: [PortMapping("8080:80")]))
  try world.show("monitor, mode host", monitor.namespace)

  print("the host's interfaces:     ", try world.host.links.list().map(\.name).joined(separator: " "))
  print("the container's interfaces:", try monitor.namespace.links.list().map(\.name).joined(separator: " "))
  print("the same namespace:", monitor.namespace.identity == world.host.identity)

  // A host-mode container has no ports of its own to publish, so the request returns a warning.
  for warning in monitor.warnings { print("warning: \(warning)") }

  if !world.isMachine {
    try world.showPing("the outside", Playground.outsideAddress, from: monitor.namespace)
    let server = try world.serve("hello from the host itself", port: 80, in: monitor.namespace)
    defer { server.stop() }
    try world.showFetch("from outside", Playground.hostAddress, 80, from: world.outside)
  }
}
