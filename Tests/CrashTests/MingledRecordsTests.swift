import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Mingling
import Playground
import SystemPackage
import Testing

/// Three records on one host, two of them in processes of their own. All heal, execute random verbs, and repeatedly
/// lose all rules of the host. In the end each has its own objects, and none exists twice.
@Suite struct MingledRecordsTests {
  /// A process with a record.
  private final class Neighbor {
    private let process: Process
    private let input = Pipe()
    private let output = Pipe()
    private var rest: [UInt8] = []

    init(_ crash: Crash, number: Int, seed: UInt64, verbs: Int) throws {
      process = try crash.probe(0, ["mingle", "\(number)", "\(seed)", "\(verbs)"])
      process.standardInput = input
      process.standardOutput = output
      try process.run()
    }

    /// The lines up to one.
    func lines(upTo last: String) async throws -> [String] {
      var lines: [String] = []
      while true {
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
          let line = String(decoding: rest[..<end], as: UTF8.self)
          rest.removeFirst(end + 1)
          if line == last { return lines }
          lines.append(line)
        }
        let handle = output.fileHandleForReading
        let data = await Task.detached { handle.availableData }.value
        guard !data.isEmpty else {
          Issue.record("it ended instead of saying \"\(last)\": \(lines)")
          return lines
        }
        rest += data
      }
    }

    func tell(_ word: String) throws { try input.fileHandleForWriting.write(contentsOf: Data("\(word)\n".utf8)) }

    /// Ends it, however far it has come.
    func end() -> Int32 {
      try? input.fileHandleForWriting.close()
      process.waitUntilExit()
      return process.terminationStatus
    }
  }

  @Test(.timeLimit(.minutes(40))) func threeRecordsShareOneHost() async throws {
    let given = ProcessInfo.processInfo.environment["MINGLE_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: 0...UInt64.max)
    print("MINGLE_SEED=\(seed)")
    let world = try Playground()
    let before = try contents(world)
    let crashes = try (0..<3).map { _ in try Crash(world) }
    let verbs = 70
    let neighbors = try (0..<2).map { number in
      try Neighbor(crashes[number], number: number, seed: seed, verbs: verbs)
    }
    var settings = ControllerSettings(
      resolvers: [], namespaceDirectory: crashes[2].directory.appending("netns"), heals: true)
    settings.filesDirectory = crashes[2].directory.appending("files")
    let own = try await NetworkController(
      host: world.host, store: SQLiteStore(at: crashes[2].directory), settings: settings)
    var mingler = Mingler(own, number: 2, seed: seed)
    // All at once: each gets a bridge and a pool of its own.
    for neighbor in neighbors { try neighbor.tell("begin") }
    try await mingler.begin()
    for neighbor in neighbors { #expect(try await neighbor.lines(upTo: "begun") == []) }
    for neighbor in neighbors { try neighbor.tell("run") }
    // Meanwhile all rules of the host are flushed.
    let flusher = Task {
      var count = 0
      while !Task.isCancelled {
        try? await Task.sleep(for: .milliseconds(150))
        if Task.isCancelled { break }
        count += try world.output("nft", "flush", "ruleset", in: world.host) == nil ? 0 : 1
      }
      return count
    }
    try await mingler.run(verbs: verbs)
    for neighbor in neighbors { _ = try await neighbor.lines(upTo: "ran") }
    flusher.cancel()
    let flushes = try await flusher.value
    print("\(verbs * 3) verbs, \(flushes) flushes; of one's own verbs were refused:", mingler.refusals.count)
    #expect(flushes > 0)

    for neighbor in neighbors { try neighbor.tell("settle") }
    #expect(try await mingler.remainder() == [])
    var containers = try await mingler.containers().map { (crashes[2], $0) }
    for (number, neighbor) in neighbors.enumerated() {
      containers += try await neighbor.lines(upTo: "settled").map { (crashes[number], $0) }
    }
    try await check(world, containers)
    #expect(try await own.otherRecords().count == 2)

    for neighbor in neighbors {
      try neighbor.tell("end")
      #expect(try await neighbor.lines(upTo: "gone") == [])
      #expect(try await own.differences() == [])
    }
    try await check(world, containers.filter { $0.0.directory == crashes[2].directory })
    for neighbor in neighbors { #expect(neighbor.end() == 0) }
    try await own.removeAll(isFinal: true)
    #expect(try contents(world) == before)
    for crash in crashes { try await crash.end() }
  }

  /// Each container reaches outside, and is reached by its ports; each endpoint and each port is there once.
  private func check(_ world: Playground, _ containers: [(Crash, String)]) async throws {
    var (endpoints, ports) = (0, 0)
    for (crash, line) in containers {
      let words = line.split(separator: " ").map(String.init)
      let namespace = try NetworkNamespace.open(at: crash.directory.appending("netns").appending(words[0]))
      #expect(try world.pings(Playground.outsideAddress, from: namespace, within: 5), "\(words[0])")
      endpoints += Int(words[1]) ?? 0
      ports += words.count - 2
      guard words.count > 2 else { continue }
      let server = try world.serve(words[0], port: 80, in: namespace)
      defer { server.stop() }
      for port in words.dropFirst(2).compactMap({ UInt16($0) }) {
        #expect(
          try world.fetch(Playground.hostAddress, port, from: world.outside) == words[0], "port \(port) of \(words[0])")
      }
    }
    #expect(try count("set", "bridge", "ports", world) == endpoints)
    #expect(try count("map", "inet", "published4", world) == ports)
  }

  /// How many elements a set or map of ours has.
  private func count(_ kind: String, _ family: String, _ name: String, _ world: Playground) throws -> Int {
    let text = try #require(
      try world.output("nft", "list", kind, family, "containernetworking", name, in: world.host))
    return text.components(separatedBy: "comment \"record ").count - 1
  }

  /// The parts of the host that we may change: its links, forwarding, and the ruleset.
  private func contents(_ world: Playground) throws -> [String] {
    let links = try world.host.links.list().map(\.name)
    return links + links.map { (try? world.host.sysctl("net/ipv4/conf/\($0)/forwarding")) ?? "-" }
      + [try world.output("nft", "list", "ruleset", in: world.host) ?? "nft failed"]
  }
}
