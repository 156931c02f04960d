import BenchmarkKit
import ContainerNetworking
import SystemPackage

/// A contender that is started as a program for each attach and detach, as a runtime does it.
@MainActor final class ProgramContender: Contender {
  let who: Contestant
  let counts: [Int]
  let rounds: Int
  let programs: Programs
  private let tool: any NetworkTool
  private var namespaces: [Int: NetworkNamespace] = [:]

  init(_ who: Contestant, _ tool: any NetworkTool, _ programs: Programs, _ settings: Settings) {
    self.who = who
    self.tool = tool
    self.programs = programs
    counts = settings.peerCounts
    rounds = settings.peerRounds
  }

  var processorTime: Double { ProcessorTime.own + ProcessorTime.ofPrograms }

  func makeContainer(_ number: Int) throws { namespaces[number] = try .create() }

  func namespace(_ number: Int) throws -> NetworkNamespace {
    guard let namespace = namespaces[number] else {
      throw NetworkError(.notFound, operation: "find container \(number)", reason: "it was not made")
    }
    return namespace
  }

  func attach(_ number: Int) throws { try tool.attach(number, try namespace(number).path, programs) }

  func attachAtOnce(_ numbers: [Int]) throws {
    let paths = Dictionary(uniqueKeysWithValues: try numbers.map { ($0, try namespace($0).path) })
    let (tool, programs) = (tool, programs)
    try Programs.atOnce(numbers) { number in
      if let path = paths[number] { try tool.attach(number, path, programs) }
    }
  }

  func detach(_ number: Int) throws {
    try tool.detach(number, try namespace(number).path, programs)
    namespaces[number] = nil
  }
}

/// How such programs are started. Its calls block, and may come from several threads.
protocol NetworkTool: Sendable {
  func attach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws
  func detach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws
}
