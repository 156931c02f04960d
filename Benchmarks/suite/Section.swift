import BenchmarkKit
import ContainerNetworking
import Playground
import SystemPackage

/// A part of the benchmark that runs in a process of its own, in a network namespace of its own, which is the host of what is
/// measured in process: so memory and descriptors are those of the one that is measured, and nothing outlives a part.
enum Section: String, CaseIterable {
  case floorMemory = "floor-memory"
  case floorSQLite = "floor-sqlite"
  case floorCrowded = "floor-crowded"
  case library
  case handOver = "hand-over"
  case holdings, ports, restoration, opening, netavark, cni, docker

  /// What is measured there.
  var title: String {
    switch self {
    case .floorMemory: "the library and the floor in turns, records in memory"
    case .floorSQLite: "the library and the floor in turns, records in SQLite"
    case .floorCrowded: "the library and the floor in turns, beside many containers"
    case .library: "attach and detach, the library and the floor"
    case .handOver: "attach and detach, the library by hand-over"
    case .holdings: "what the library holds"
    case .ports: "published ports"
    case .restoration: "rules after a flush"
    case .opening: "opening the state"
    case .netavark: "netavark"
    case .cni: "the CNI plugins"
    case .docker: "docker network connect"
    }
  }

  /// - Throws: Where it could not be measured to its end.
  @MainActor func measure(_ settings: Settings, _ notebook: Notebook) async throws {
    let turns = LibraryAndFloor(settings: settings, notebook: notebook)
    switch self {
    case .floorMemory: try await turns.measure(.memory, beside: 0)
    case .floorSQLite: try await turns.measure(.sqlite, beside: 0)
    case .floorCrowded: try await turns.measure(.memory, beside: settings.crowd)
    case .library:
      let rounds = Rounds([try await Library(settings), try await FloorContender(settings)], notebook)
      try await rounds.measure { contender, count in
        if count == 1 { try await rounds.measureNetworksAndEight(contender, beside: count, rounds: 20) }
      }
    case .handOver:
      let contender = try await Library(settings, handsOver: true)
      try await Rounds([contender], notebook).measure { _, _ in }
    case .holdings: try await Held(settings: settings, notebook: notebook).measure()
    case .ports: try await Ports(settings: settings, notebook: notebook).measure()
    case .restoration: try await Restoration(settings, notebook).measure()
    case .opening: try await Opening(settings, notebook).measure()
    case .netavark:
      guard let tool = Netavark() else { throw Self.notInstalled("netavark") }
      try await measure(tool, .netavark, settings, notebook)
    case .cni:
      guard let tool = CNIChain() else { throw Self.notInstalled("containernetworking-plugins") }
      try await measure(tool, .cni, settings, notebook)
    case .docker:
      guard let docker = try Docker(settings) else { throw Self.notInstalled("docker.io") }
      try await measure(docker, settings, notebook)
    }
  }

  private static func notInstalled(_ package: String) -> NetworkError {
    NetworkError(.notFound, operation: "start it", reason: "\(package) is not installed")
  }

  @MainActor private func measure(
    _ tool: any NetworkTool, _ who: Contestant, _ settings: Settings, _ notebook: Notebook
  ) async throws {
    let programs = try Programs(rawValue, in: settings.directory)
    let contender = ProgramContender(who, tool, programs, settings)
    let rounds = Rounds([contender], notebook)
    let traffic = try Traffic(settings, notebook)
    try await rounds.measure { _, count in
      if count == 1 { try await rounds.measureNetworksAndEight(contender, beside: count, rounds: settings.peerRounds) }
      guard count > 0 else { return }
      // The one in the middle: rules that are walked one by one have half of them before it.
      let middle = (count + 1) / 2
      try traffic.measure(
        who, ports: count, from: programs.world.outside, to: Playground.hostAddress, Numbering.port(middle),
        in: try contender.namespace(middle))
    }
    var held = Holdings.ofProcesses(in: programs.world.host)
    held.peak += ProcessorTime.peakOfPrograms
    try notebook.note(held, since: Holdings(), of: who, at: contender.counts.last ?? 0)
  }

  @MainActor private func measure(_ docker: Docker, _ settings: Settings, _ notebook: Notebook) async throws {
    do {
      let rounds = Rounds([docker], notebook)
      let traffic = try Traffic(settings, notebook)
      let world = docker.programs.world
      var (before, few) = (Holdings(), 0)
      try await rounds.measure { _, count in
        if count == 0 { (before, few) = (.ofProcesses(in: world.host), docker.running.count) }
        if count == 1 { try await rounds.measureNetworksAndEight(docker, beside: count, rounds: settings.peerRounds) }
      }
      var held = Holdings.ofProcesses(in: world.host)
      held.peak += ProcessorTime.peakOfPrograms
      try notebook.note(held, since: before, of: .docker, at: docker.running.count - few)
      for count in Set([1, min(100, settings.portCounts.last ?? 1)]).sorted() {
        let namespace = try docker.publish(count)
        try traffic.measure(
          .docker, ports: count, from: world.outside, to: Playground.hostAddress, Numbering.port(1), in: namespace)
        try docker.unpublish(count)
      }
    } catch {
      await docker.finish()
      throw error
    }
    await docker.finish()
  }
}
