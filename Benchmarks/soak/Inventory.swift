import ContainerNetworking
import FoundationEssentials
import Playground
import SystemPackage

/// The resources of a run at one moment, after all containers are gone.
struct Inventory {
  /// One thing that is counted, and by how much it may differ at the end from what it is at the first look.
  struct Count {
    let name: String
    let value: Int
    let slack: Int
    /// Whether it is this run's alone, and may be judged.
    var isOurs = true
  }

  let counts: [Count]

  /// - Parameters:
  ///   - world: Where the host is.
  ///   - directory: The one with the record, names of namespaces and containers' files.
  init(_ world: Playground, _ directory: FilePath) throws {
    let files = try Self.files(in: directory)
    let record = files.filter { $0.name.hasPrefix("state/state.db") }.reduce(0) { $0 + $1.size }
    let resident = Self.kilobytes("VmRSS", in: "/proc/self/status")
    counts = [
      Count(name: "descriptors", value: Self.entries(of: "/proc/self/fd"), slack: 4),
      Count(name: "threads", value: Self.entries(of: "/proc/self/task"), slack: 4),
      Count(name: "resident memory, KiB", value: resident, slack: 4_096 + resident / 10),
      Count(name: "namespaces known to the host", value: try Self.lines(world, "ip", "netns", "list-id"), slack: 0),
      Count(name: "links of the host", value: try Self.lines(world, "ip", "-o", "link"), slack: 0),
      Count(name: "nft elements", value: try Self.elements(world), slack: 0),
      Count(name: "files", value: files.count, slack: 0),
      Count(name: "record, bytes", value: record, slack: 256 << 10),
      Count(
        name: "slab of the whole machine, KiB", value: Self.kilobytes("Slab", in: "/proc/meminfo"), slack: 0,
        isOurs: false),
    ]
  }

  /// What has grown since another moment, in words.
  func growth(since first: Inventory) -> [String] {
    zip(first.counts, counts).compactMap { before, now in
      guard now.isOurs, now.value > before.value + before.slack else { return nil }
      return "\(now.name): \(before.value), then \(now.value); \(before.slack) more are allowed"
    }
  }

  /// Whether the kernel still takes something away, or something is made ready.
  func isAs(_ other: Inventory) -> Bool {
    zip(counts, other.counts).allSatisfy { one, other in one.slack > 0 || !one.isOurs || one.value == other.value }
  }

  private static func entries(of directory: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: directory))?.count ?? 0
  }

  private static func kilobytes(_ key: String, in file: String) -> Int {
    let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(key):") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
  }

  private static func output(_ world: Playground, _ program: String, _ arguments: [String]) throws -> String {
    let (output, status) = try world.run(Command(program, arguments), in: world.host)
    guard status == .exited(0) else {
      throw NetworkError(.refused, operation: "look at the host", reason: "\(program) ended with \(status)")
    }
    return output
  }

  private static func lines(_ world: Playground, _ program: String, _ arguments: String...) throws -> Int {
    try output(world, program, arguments).split(separator: "\n").count
  }

  private static func elements(_ world: Playground) throws -> Int {
    try output(world, "nft", ["list", "ruleset"]).matches(of: #/elements = \{([^}]*)\}/#)
      .reduce(0) { $0 + $1.output.1.split(separator: ",").count }
  }

  private static func files(in directory: FilePath) throws -> [(name: String, size: Int)] {
    let manager = FileManager.default
    return try manager.subpathsOfDirectory(atPath: directory.string).map { name in
      let attributes = try? manager.attributesOfItem(atPath: directory.appending(name).string)
      return (name, (attributes?[.size] as? UInt64).map { Int($0) } ?? attributes?[.size] as? Int ?? 0)
    }
  }
}
