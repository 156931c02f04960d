import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport
import Testing

/// The tool that is built beside the tests, with a record and a host namespace of its own. It runs in the namespace of
/// the outside world, so that an effect in the wrong namespace would show there.
final class Tool {
  let world: Playground
  let directory = "/tmp/cnet-test-\(UUID().uuidString)"
  let resolvConf = "/tmp/cnet-resolv-\(UUID().uuidString)"
  let environment: [String]

  init() throws {
    world = try Playground()
    let beside = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
    // Independent of the machine's own servers.
    try Data("nameserver 192.0.2.53\n".utf8).write(to: URL(filePath: resolvConf))
    environment = [
      "PATH=\(beside):/usr/sbin:/usr/bin:/sbin:/bin", "COLUMNS=80", "LC_ALL=C", "TERM=dumb",
      "CNET_STATE_DIR=\(directory)", "CNET_RESOLV_CONF=\(resolvConf)", "CNET_NAME_SERVER=none",
      "CNET_HOST_NAMESPACE=\(world.host.path)",
    ]
  }

  /// The output of a command, and its exit code.
  struct Outcome: Equatable {
    var code: Int32
    var output: String
    var error = ""
  }

  /// Runs `cnet` with these arguments.
  func cnet(_ arguments: String..., input: String = "", extra: [String] = []) throws -> Outcome {
    try run("cnet", arguments, input: input, extra: extra)
  }

  /// Runs any program with the tool in its PATH.
  func run(
    _ program: String, _ arguments: [String], input: String = "", extra: [String] = [],
    in place: NetworkNamespace? = nil
  ) throws -> Outcome {
    let process = try start(program, arguments, input: input, extra: extra, in: place)
    return try process.end()
  }

  /// Starts a program with the tool in its PATH.
  func start(
    _ program: String, _ arguments: [String], input: String = "", extra: [String] = [],
    in place: NetworkNamespace? = nil
  ) throws -> Running {
    let running = Running()
    try Data(input.utf8).write(to: running.file("input"))
    let streams = try [
      FileDescriptor.open(FilePath(running.file("input").path), .readOnly),
      FileDescriptor.open(
        FilePath(running.file("output").path), .writeOnly, options: .create, permissions: .ownerReadWrite),
      FileDescriptor.open(
        FilePath(running.file("error").path), .writeOnly, options: .create, permissions: .ownerReadWrite),
    ]
    defer { for stream in streams { try? stream.close() } }
    var command = Command("/usr/bin/env", [program] + arguments, environment: environment + extra)
    (command.input, command.output, command.error) = (streams[0], streams[1], streams[2])
    command.endsWithParent = true
    command.grouping = .ownSession
    running.process = try (place ?? world.outside).spawn(command)
    return running
  }

  /// A program that runs.
  final class Running {
    var process = ChildProcess(id: 0, on: LinuxKernel())
    private let path = "/tmp/cnet-run-\(UUID().uuidString)"

    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> URL { URL(filePath: path).appending(path: name) }
    func text(_ name: String) -> String { (try? String(contentsOf: file(name), encoding: .utf8)) ?? "" }

    /// Waits for the end, a minute at the most.
    func end() throws -> Outcome {
      let status: ProcessExit
      do { status = try process.wait(timeout: Patience.limit) } catch {
        try process.signal(SIGKILL)
        _ = try process.wait()
        throw error
      }
      switch status {
      case .exited(let code): return Outcome(code: code, output: text("output"), error: text("error"))
      case .signaled(let signal):
        return Outcome(code: -signal, output: text("output"), error: text("error"))
      }
    }
  }

  /// Removes everything, and returns the remains on the host.
  func close() throws -> [String] {
    let names = try cnet("ps", "-q").output.split(separator: "\n").map(String.init)
    if !names.isEmpty { _ = try run("cnet", ["detach"] + names) }
    _ = try cnet("network", "prune", "-f")
    let pins = ["netns", "files"].flatMap { name in
      (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/\(name)")) ?? []
    }
    try FileManager.default.removeItem(atPath: directory)
    try FileManager.default.removeItem(atPath: resolvConf)
    let links = try world.host.links.list().map(\.name).filter { !["lo", "eth0", "cn0"].contains($0) }
    let strays = try world.outside.links.list().map(\.name).filter { !["lo", "eth0"].contains($0) }
    return pins + links + strays
  }

  /// Replaces the parts that differ between runs.
  func normalized(_ text: String) -> String {
    var text = text.replacing(directory, with: "STATE").replacing("\(world.host.path)", with: "HOST")
    text.replace(#/[0-9a-f]{64}/#) { $0.output.hasPrefix("00000000000") ? String($0.output) : "ID" }
    text.replace(#/\b[0-9a-f]{12}\b/#) { $0.output.hasPrefix("00000000000") ? String($0.output) : "ID0123456789" }
    text.replace(#/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/#, with: "TIME")
    text.replace(#/net:\[\d+\]/#, with: "net:[N]")
    text.replace(#/cn-[0-9a-f]{8}/#, with: "cn-NAME")
    text.replace(#/veth[0-9a-f]{8}/#, with: "veth0a1b2c3d")
    return text
  }

  /// Runs each line in a shell: the line, its output, and its exit code unless 0.
  func transcript(_ lines: [String]) throws -> String {
    var text = ""
    for line in lines {
      let outcome = try run("sh", ["-c", "exec 2>&1; \(line)"])
      text += "$ \(line)\n\(outcome.output)"
      if outcome.code != 0 { text += "[exit code \(outcome.code)]\n" }
    }
    return normalized(text)
  }
}

/// Compares a text with a file beside the tests; with UPDATE_DOCUMENTS=1 the file is written.
func expectGolden(_ name: String, _ text: String) throws {
  let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
  if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try Data(text.utf8).write(to: file) }
  let written = try String(contentsOf: file, encoding: .utf8)
  #expect(
    written == text,
    "\(name) differs; run UPDATE_DOCUMENTS=1 swift test --filter CommandLineTests, and look at the change")
}

/// A program raises its limit of open files to the machine's, whatever the shell's was.
func expectAllOpenFiles(of program: Tool.Running) throws {
  let limits = try String(contentsOfFile: "/proc/\(program.process.id)/limits", encoding: .utf8)
  let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
  let numbers = line.split(separator: " ").compactMap { Int($0) }
  #expect(numbers.count == 2 && numbers.first == numbers.last, "\(line)")
  #expect(numbers.first ?? 0 > 64)
}

/// Waits for something that another process does, as ``waitUntil(_:)``.
func eventually(_ isSo: () throws -> Bool) rethrows -> Bool { try waitUntil(isSo) }
