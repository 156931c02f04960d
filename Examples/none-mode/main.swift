import ContainerNetworking
import Playground

// None mode: a namespace with nothing but lo. Everything else is made by hand, with the typed calls that the other
// modes are made of: a veth pair, an address on each end, up.

await Playground.run { world, controller in
  let alone = try await controller.attach("alone", to: .none)
  try world.show("alone, mode none", alone.namespace)
  try world.showPing("itself", "127.0.0.1", from: alone.namespace)

  // The peer is created directly inside the container's namespace: creating a veth and moving it there takes twenty
  // times longer.
  let end = try world.host.links.createVeth(
    VethEnd(InterfaceName("byhand0")),
    peer: VethEnd(InterfaceName("eth0"), namespace: alone.namespace.handle.descriptor))
  try world.host.addresses.add(InterfaceAddress("10.99.0.1/30"), to: end.index)
  try world.host.links.setUp(index: end.index)

  let inside = try alone.namespace.links.get("eth0")
  try alone.namespace.addresses.add(InterfaceAddress("10.99.0.2/30"), to: inside.index)
  try alone.namespace.links.setUp(index: inside.index)
  try alone.namespace.routes.add(Route(to: .all(.ipv4), via: IPAddress("10.99.0.1"), link: inside.index))

  try world.show("alone, set up by hand", alone.namespace)
  try world.showPing("the host's end", "10.99.0.1", from: alone.namespace)
  for route in try alone.namespace.routes.list() where route.table == 254 && route.destination.family == .ipv4 {
    print("route: \(route.destination)", route.gateway.map { "via \($0)" } ?? "on the link")
  }
  try world.host.links.delete(index: end.index)
}
