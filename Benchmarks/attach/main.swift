import ContainerNetworking
import Playground

// What an attach and a detach cost: this library, against the floor, which is the same requests built beforehand and
// sent by C over plain sockets. They take turns in one run, so that a noisy machine disturbs both alike; ratios are what
// counts.
//
//     attach-benchmark [ROUNDS]

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 150

let samples = Samples()
await Playground.run([]) { world, controller in
  try await controller.attach("first")  // makes the bridge and the table
  let turns = Turns(controller, floor: try FloorHost(world.host, bridge: "cn0"), samples: samples)
  for _ in 0..<5 { try await turns.take() }
  samples.clear()
  for _ in 0..<rounds { try await turns.take() }
}

print(
  """
  \(rounds) rounds each; microseconds: library / floor = ratio

                          median                          99th percentile
  \(["attach, ready", "attach, cold", "detach"].map { samples.line($0) }.joined(separator: "\n"))

  library  NetworkController: checks, address, names, record, undo, and every reply read
  floor    the same kernel objects by requests built beforehand, sent by C over plain sockets: what the kernel takes
  attach   a veth pair on the bridge; address, default route and up inside; one published port in nftables
  ready    into a namespace that is there
  cold     with making the namespace, a socket in it, and its lo up
  detach   the link deleted, and its elements in nftables; it waits for grace periods of the kernel (RCU), not for work
  """)
