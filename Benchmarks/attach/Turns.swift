import ContainerNetworking
import Glibc

/// Attaches and detaches one container of the floor and one of the library, whoever comes first by turns.
@MainActor final class Turns {
  private let controller: NetworkController
  private let host: FloorHost
  private let samples: Samples
  private var number = 0
  /// Between a detach and the next turn, microseconds: the kernel frees what was deleted in its own time, and the next
  /// nftables transaction would wait for it.
  private static let pause: UInt32 = 30_000
  /// Namespaces that were used: the kernel would clean up after one turn during another.
  private var keptFloors: [Floor] = []
  private var kept: [NetworkNamespace] = []

  init(_ controller: NetworkController, floor: FloorHost, samples: Samples) {
    self.controller = controller
    host = floor
    self.samples = samples
  }

  /// Once into namespaces that are there, and once with making them.
  func take() async throws {
    for isCold in [false, true] {
      number += 1
      let floor = try Floor(number, on: host)
      keptFloors.append(floor)
      if number & 2 == 0 {
        try useFloor(floor, isCold)
        try await useLibrary(isCold)
      } else {
        try await useLibrary(isCold)
        try useFloor(floor, isCold)
      }
    }
  }

  private func useFloor(_ floor: Floor, _ isCold: Bool) throws {
    if !isCold { try floor.makeNamespace() }
    try samples.measure(floor: isCold ? "attach, cold" : "attach, ready") {
      if isCold { try floor.makeNamespace() }
      try floor.attach()
    }
    try samples.measure(floor: "detach") { try floor.detach() }
    usleep(Self.pause)
  }

  private func useLibrary(_ isCold: Bool) async throws {
    let name = "c\(number)"
    let options = AttachOptions(ports: [try PortMapping("\(10_000 + number):80")])
    let ready = isCold ? nil : try NetworkNamespace.create()
    try await samples.measure(library: isCold ? "attach, cold" : "attach, ready") {
      kept.append(try await controller.attach(name, options: options, namespace: ready).namespace)
    }
    try await samples.measure(library: "detach") { try await controller.detach(name) }
    usleep(Self.pause)
  }
}
