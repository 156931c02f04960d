import BenchmarkKit
import ContainerNetworking
import FoundationEssentials
import Playground
import SystemPackage

/// A host with one contender's server, a querying container, and an upstream server outside.
final class Lab {
  let contender: any Contender
  /// Files of queries, as dnsperf reads them.
  let localNames: FilePath
  let outerNames: FilePath
  /// The time from the start of the program to its first answer, milliseconds; not a number without one.
  private(set) var startTime: Double?

  private let world: Playground
  private let container: NetworkNamespace
  private let directory: FilePath
  private let launcher: ChildProcess
  private let upstream: ChildProcess

  static let gateway = "10.81.0.1"
  static let subnet = "10.81.0.0/16"
  /// Queries per second for latencies.
  static let steadyRate = 5_000

  /// - Parameter directory: The directory for its files, not created yet.
  init(_ contender: any Contender, names count: Int, in directory: FilePath) throws {
    self.contender = contender
    world = try Playground()
    container = try .create()
    self.directory = directory
    try Folder.makeDirectory(directory)
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName("apps")),
      peer: VethEnd(try InterfaceName("eth0"), namespace: container.handle.descriptor))
    try world.host.addresses.add(try InterfaceAddress("\(Self.gateway)/16"), to: cable.index)
    try world.host.links.setUp(index: cable.index)
    let end = try container.links.get("eth0")
    try container.addresses.add(try InterfaceAddress("10.81.255.254/16"), to: end.index)
    try container.links.setUp(index: end.index)

    localNames = directory.appending("local.queries")
    outerNames = directory.appending("outer.queries")
    let resolver = directory.appending("resolv.conf")
    try Self.write("nameserver \(Playground.outsideAddress)\n", to: resolver)
    var generator = SystemRandomNumberGenerator()
    let local = (0..<count).shuffled(using: &generator).map { "\(Self.name($0)) A\n" }
    try Self.write(local.joined(), to: localNames)
    try Self.write((0..<100).map { "n\($0).example A\n" }.joined(), to: outerNames)
    upstream = try Self.spawn(
      Command(
        Dnsmasq.program,
        Dnsmasq.common + [
          "--listen-address=\(Playground.outsideAddress)", "--address=/example/192.0.2.1", "--local-ttl=3600",
        ]),
      in: world.outside)

    try contender.prepare(directory, names: count)
    // In a process namespace of its own, which ends with it: some servers go into the background.
    var command = contender.command(directory)
    command.arguments = ["--pid", "--fork", "--kill-child", "--mount-proc", command.executable] + command.arguments
    command.executable = "/usr/bin/unshare"
    command.bindings = [FileBinding(resolver, at: "/etc/resolv.conf")]
    let start = ContinuousClock.now
    launcher = try Self.spawn(command, in: world.host)
    startTime = try awaitAnswer(to: Self.name(count - 1), until: start + .seconds(30)).map {
      ($0 - start) / .milliseconds(1)
    }
  }

  static func name(_ index: Int) -> String { "c\(index)" }
  /// The address of a name.
  static func address(_ index: Int) -> String { "10.81.\(16 + index / 250).\(1 + index % 250)" }

  static func write(_ text: String, to path: FilePath) throws {
    try text.write(toFile: path.string, atomically: true, encoding: .utf8)
  }

  private static func spawn(_ command: Command, in namespace: NetworkNamespace) throws -> ChildProcess {
    var command = command
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
    defer { try? null.close() }
    (command.input, command.output) = (null, null)
    command.endsWithParent = true
    return try namespace.spawn(command)
  }

  /// Asks every other millisecond.
  private func awaitAnswer(
    to name: String, until deadline: ContinuousClock.Instant
  ) throws -> ContinuousClock.Instant? {
    let query = Probe.query(name)
    while ContinuousClock.now < deadline {
      if try Probe.isAnswered(query, by: Self.gateway, from: container) { return .now }
    }
    return nil
  }

  /// The result of a load.
  struct Outcome {
    /// Answers per second.
    var rate: Double
    var lost: Int
    /// Seconds, of each query; only with a rate.
    var latencies: [Double]
  }

  /// Has dnsperf ask for the names of a file, again and again.
  ///
  /// - Parameter rate: How many queries a second; nil: a hundred at once, always.
  func load(_ file: FilePath, seconds: Int, rate: Int? = nil) throws -> Outcome {
    let arguments = [
      "-s", Self.gateway, "-d", file.string, "-l", "\(seconds)", "-c", "4", "-T", "1", "-t", "2",
    ]
    let (text, status) = try world.run(
      Command("/usr/bin/dnsperf", arguments + (rate.map { ["-v", "-Q", "\($0)"] } ?? ["-q", "100"])), in: container,
      includesErrors: true)
    guard status == .exited(0), let rate = Self.number(after: "Queries per second:", in: text) else {
      throw NetworkError(
        .replyLost, operation: "run dnsperf for \(contender.name)", reason: "\(status): \(text.suffix(500))")
    }
    var latencies: [Double] = []
    for line in text.split(separator: "\n") where line.hasPrefix("> ") {
      if let value = line.split(separator: " ").last.flatMap({ Double($0) }) { latencies.append(value) }
    }
    return Outcome(rate: rate, lost: Int(Self.number(after: "Queries lost:", in: text) ?? 0), latencies: latencies)
  }

  private static func number(after label: String, in text: String) -> Double? {
    guard let place = text.firstRange(of: label) else { return nil }
    return text[place.upperBound...].split(whereSeparator: \.isWhitespace).first.flatMap { Double($0) }
  }

  /// Asks for every name outside once, so that caching servers have all answers.
  func warmUp() throws {
    _ = try world.run(
      Command("/usr/bin/dnsperf", ["-s", Self.gateway, "-d", outerNames.string, "-n", "2", "-q", "10"]), in: container)
  }

  /// The server's memory in MiB, and the part of it without a backing file.
  func memory() -> (resident: Double, own: Double)? {
    guard let process = server() else { return nil }
    let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
    guard let resident = Self.number(after: "VmRSS:", in: status), let own = Self.number(after: "RssAnon:", in: status)
    else { return nil }
    return (resident / 1024, own / 1024)
  }

  /// The process with the contender's name in the host's namespace.
  private func server() -> Int32? {
    let manager = FileManager.default
    guard let own = try? manager.destinationOfSymbolicLink(atPath: "/proc/\(launcher.id)/ns/net") else { return nil }
    for name in (try? manager.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let id = Int32(name), id != launcher.id,
        (try? manager.destinationOfSymbolicLink(atPath: "/proc/\(id)/ns/net")) == own,
        let text = try? String(contentsOfFile: "/proc/\(id)/comm", encoding: .utf8),
        text.dropLast() == contender.process.prefix(15)
      else { continue }
      return id
    }
    return nil
  }

  func end() {
    for process in [launcher, upstream] {
      try? process.signal(9)
      _ = try? process.wait(timeout: .seconds(10))
    }
    Folder.remove(directory)
  }
}
