import BenchmarkKit
import ContainerNetworking
import Glibc

/// Attaches and detaches one container of the floor and one of the library, in alternating order.
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

  /// How a container is attached.
  private enum Way: CaseIterable {
    /// Into a namespace that is there.
    case ready
    /// The same, by a task on the controller's threads: the library alone.
    case onThreads
    /// With making the namespace.
    case cold
    /// As one that was kept ready.
    case handOver

    var quantity: Quantity {
      switch self {
      case .ready: .ready
      case .onThreads: .readyOnThreads
      case .cold: .cold
      case .handOver: .handOver
      }
    }
  }

  /// Once in each way.
  func take() async throws {
    for way in Way.allCases {
      number += 1
      guard way != .onThreads else {
        try await useThreads()
        continue
      }
      let floor = try Floor(number, on: host)
      keptFloors.append(floor)
      if number & 2 == 0 {
        try await useFloor(floor, way)
        try await useLibrary(way)
      } else {
        try await useLibrary(way)
        try await useFloor(floor, way)
      }
    }
  }

  private func useFloor(_ floor: Floor, _ way: Way) async throws {
    switch way {
    case .ready:
      try floor.makeNamespace()
      try await samples.measure(.floor, way.quantity) { try floor.attach() }
    case .cold:
      try await samples.measure(.floor, way.quantity) {
        try floor.makeNamespace()
        try floor.attach()
      }
    case .onThreads: break
    case .handOver:
      try floor.prepare()
      try await samples.measure(.floor, way.quantity) { try floor.handOver() }
    }
    try await samples.measure(.floor, .removal) { try floor.detach() }
    usleep(Self.pause)
  }

  private func useLibrary(_ way: Way) async throws {
    let name = "c\(number)"
    let options = AttachOptions(ports: [try PortMapping("\(10_000 + number):80")])
    let ready = way == .ready ? try NetworkNamespace.create() : nil
    // So slowly that no replacement is made during a turn.
    if way == .handOver { try await controller.keepReady(1, refillsPerSecond: 0.000_1) }
    try await samples.measure(.library, way.quantity) {
      kept.append(try await controller.attach(name, options: options, namespace: ready).namespace)
    }
    try await samples.measure(.library, .removal) { try await controller.detach(name) }
    usleep(Self.pause)
  }

  private func useThreads() async throws {
    let (name, controller) = ("c\(number)", controller)
    let options = AttachOptions(ports: [try PortMapping("\(10_000 + number):80")])
    let namespace = try NetworkNamespace.create()
    kept.append(namespace)
    let sample = try await Task(executorPreference: controller.executor) {
      try await Samples.Sample.take { try await controller.attach(name, options: options, namespace: namespace) }
    }.value
    samples.note(sample, .library, .readyOnThreads)
    try await controller.detach(name)
    usleep(Self.pause)
  }
}
