import ContainerNetworking
import ContainerNetworkingDNS
import Playground

// A custom network: a bridge of its own, with a chosen subnet. Dynamic addresses come from the ip-range; a container
// may choose any other address of the subnet. Its containers find each other by name. Networks do not reach each other.

await Playground.run(configure: { world, store, settings in
  // A server in this process answers for names, and containers' files refer to it.
  let server = NameServer(host: world.host, store: store)
  try await server.start()
  settings.names = server
  settings.filesDirectory = try world.makeFilesDirectory()
}) { world, controller in
  let network = try await controller.createNetwork(
    "br0",
    options: NetworkOptions(
      subnet: Subnet("192.168.50.0/24"), ipRange: Subnet("192.168.50.128/25"), gateway: IPAddress("192.168.50.1")))
  print(
    "network \(network.name): \(network.subnet), gateway \(network.gateway), bridge \(network.bridge?.description ?? "none")"
  )

  let one = try await controller.attach("so1", to: .network("br0"))
  let two = try await controller.attach(
    "so2", to: .network("br0"),
    options: AttachOptions(address: IPAddress("192.168.50.101"), endpoint: EndpointOptions(aliases: ["db"])))
  try world.show("so1, an address of the range", one.namespace)
  try world.show("so2, an address of its choice", two.namespace)
  try world.showPing("from so1", "so2", from: one)
  try world.showPing("from so1, by an alias,", "db", from: one)
  try world.showPing("from so1, in full,", "so2.br0", from: one)
  try world.showPing("so2 from so1", "192.168.50.101", from: one.namespace)
  if let address = one.endpoints.first?.address.address {
    try world.showPing("so1 from so2", "\(address)", from: two.namespace)
  }

  let stranger = try await controller.attach("stranger", to: .bridge)
  try world.showPing("so2 from another network", "192.168.50.101", from: stranger.namespace, isAnswered: false)

  // Every refusal contains the value, the rule and a right value.
  do {
    try await controller.attach("so3", to: .network("br0"), options: AttachOptions(address: IPAddress("10.0.0.9")))
  } catch { print("refused: \(error)") }
}
