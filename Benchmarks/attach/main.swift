import ContainerNetworking
import Playground

// What an attach and a detach cost: this library, against the same requests built beforehand and sent over bare sockets,
// turn by turn in one run, so that a noisy machine disturbs both alike. Ratios are what counts.

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 200
let world = try Playground()
let controller = try await NetworkController(host: world.host)
try await controller.attach("warm-up")
let bridge = try world.host.links.get("cn0").index
let clock = ContinuousClock()

/// A table like the library's own, for the floor's elements.
let table = NftTable(family: .inet, name: "floor")
let endpoints = NftSet(table: table, name: "endpoints", key: [.ipv4Address, .interfaceName])
let published = NftSet(
  table: table, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
var tables = NftTransaction()
try tables.add(table, exclusive: true)
_ = try tables.add(endpoints, exclusive: true)
_ = try tables.add(published, exclusive: true)
try tables.commit(over: world.host.connection(.netfilter))

/// The floor: what the kernel takes for the requests of one attach, without checks, allocation, record or undo.
struct Floor {
  let route: NetlinkConnection
  let netfilter: NetlinkConnection
  let outside: [NetlinkRequest]
  let inside: [NetlinkRequest]
  let elements: NftTransaction
  let namespace: NetworkNamespace

  init(_ index: Int) throws {
    let kernel = LinuxKernel()
    route = try world.host.connection(.route)
    netfilter = try world.host.connection(.netfilter)
    namespace = NetworkNamespace(try kernel.makeNamespace(), of: kernel)
    _ = try namespace.connection(.route)
    let port = try InterfaceName("floor\(index)")
    let address = IPv4Address(rawValue: 0xac11_8000 + UInt32(index))
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    outside = [
      LinkRequests.createVeth(
        VethEnd(port, master: bridge),
        peer: VethEnd(
          try InterfaceName("eth0"), macAddress: MACAddress(ipv4: address), namespace: namespace.handle.descriptor),
        mtu: 1500),
      LinkRequests.change(named: port, quiet),
      LinkRequests.change(named: port, LinkChange(isUp: true)),
      LinkRequests.setHairpin(named: port),
    ]
    let eth0 = try InterfaceName("eth0")
    inside = [
      LinkRequests.change(1, LinkChange(isUp: true)), LinkRequests.change(named: eth0, quiet),
      AddressRequests.add(try InterfaceAddress(address: .v4(address), prefixLength: 16), to: 2),
      LinkRequests.change(named: eth0, LinkChange(isUp: true)),
      RouteRequests.add(Route(to: .all(.ipv4), via: try IPAddress("172.17.0.1"), link: 2)),
    ]
    var changes = NftTransaction()
    try changes.add(
      [NftElement(.concatenation(.address(.v4(address)), .interface(try InterfaceName("cn0"))))], to: endpoints)
    try changes.add(
      [
        NftElement(
          .concatenation(.tcp, .port(UInt16(20_000 + index))),
          data: .value(.concatenation(.address(.v4(address)), .port(80))))
      ], to: published)
    elements = changes
  }

  func attach() throws {
    for outcome in try route.perform(outside) { if let error = outcome.error { throw error } }
    for outcome in try namespace.connection(.route).perform(inside) { if let error = outcome.error { throw error } }
    try elements.commit(over: netfilter)
  }

  func detach(_ index: Int) throws { try world.host.links.delete(index: world.host.links.get("floor\(index)").index) }
}

func measure(_ body: () async throws -> Void) async throws -> Duration {
  let start = clock.now
  try await body()
  return clock.now - start
}

func microseconds(_ duration: Duration) -> Int {
  Int(duration.components.seconds) * 1_000_000 + Int(duration.components.attoseconds / 1_000_000_000_000)
}

var samples: [String: [Int]] = [:]
for index in 0..<rounds {
  let floor = try Floor(index)
  let own = try NetworkNamespace.create()
  let options = AttachOptions(ports: [try PortMapping("\(10_000 + index):80")])
  samples["attach, floor", default: []].append(microseconds(try await measure { try floor.attach() }))
  samples["attach", default: []].append(
    microseconds(
      try await measure { try await controller.attach("c\(index)", options: options, namespace: own) }))
  samples["detach, floor", default: []].append(microseconds(try await measure { try floor.detach(index) }))
  samples["detach", default: []].append(microseconds(try await measure { try await controller.detach("c\(index)") }))
}
try await controller.removeAll()

@MainActor func percentile(_ name: String, _ share: Double) -> Int {
  let sorted = (samples[name] ?? []).sorted()
  return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
print("\(rounds) rounds, one published port, namespace ready; microseconds")
for name in ["attach", "detach"] {
  let floor = percentile("\(name), floor", 0.5)
  let median = percentile(name, 0.5)
  let ratio = Double(median * 100 / max(1, floor)) / 100
  print(
    "\(name): median \(median), p99 \(percentile(name, 0.99)); floor: median \(floor), "
      + "p99 \(percentile("\(name), floor", 0.99)); ratio \(ratio)")
}
