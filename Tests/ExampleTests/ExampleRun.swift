import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport

/// Every example, and whether it takes `--host`.
enum Example {
  static let inOneMode = ["bridge-mode", "host-mode", "none-mode", "container-mode", "custom-network"]
  static let all = inOneMode + ["five-modes"]
}

/// One run of an example, in a machine of the test's own: the host of a playground.
struct ExampleRun {
  let machine: NetworkNamespace
  let process: ChildProcess
  /// In the environment of the example and of all that it starts, and of nothing else.
  let mark: String
  private let output: FilePath

  init(
    _ example: String, _ arguments: [String] = [], on machine: NetworkNamespace, environment: [String: String] = [:]
  ) throws {
    self.machine = machine
    mark = "CN_EXAMPLE_RUN=\(UUID().uuidString)"
    output = FilePath("/tmp/cn-example-\(UUID().uuidString)")
    // Examples are built beside the test bundle.
    let directory = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var command = Command(
      directory.appending(path: example).path, arguments, environment: variables.map { "\($0)=\($1)" } + [mark])
    let file = try FileDescriptor.open(
      output, .writeOnly, options: [.create, .exclusiveCreate], permissions: [.ownerReadWrite])
    defer { try? file.close() }
    command.output = file
    command.error = file
    // Independent of the test's end: the test decides what happens to it.
    process = try machine.spawn(command)
  }

  /// Waits for the end; returns the exit and the output.
  func end() throws -> (status: ProcessExit, output: String) {
    defer { _ = try? FileManager.default.removeItem(atPath: output.string) }
    let status: ProcessExit
    do { status = try process.wait(timeout: Patience.limit) } catch {
      try process.signal(SIGKILL)
      _ = try process.wait()
      throw error
    }
    return (status, try String(contentsOfFile: output.string, encoding: .utf8))
  }

  /// Stops the example where it is, has the machine watch the namespaces that it holds, and sends the signal.
  ///
  /// - Returns: How many namespaces are watched.
  func strike(with signal: Int32) throws -> Int {
    try process.signal(SIGSTOP)
    var watched = 0
    for path in namespaces() where try machine.watch(NetworkNamespace.open(at: path)) { watched += 1 }
    try process.signal(signal)
    try process.signal(SIGCONT)
    return watched
  }

  /// Whether it has a namespace open that is not the machine.
  var holdsNamespace: Bool { !namespaces().isEmpty }

  /// Whether it has not ended.
  var isRunning: Bool {
    (try? String(contentsOfFile: "/proc/\(process.id)/stat", encoding: .utf8))?.contains(") Z ") == false
  }

  /// The descriptors of the example that are namespaces other than the machine.
  private func namespaces() -> [FilePath] {
    let directory = "/proc/\(process.id)/fd"
    let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return descriptors.map { "\(directory)/\($0)" }.filter { path in
      let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? ""
      return target.hasPrefix("net:") && target != machine.identity.description
    }.map { FilePath($0) }
  }

  /// The programs that the example left, by id and name, if they are still there after a while: a killed one needs a
  /// moment to end.
  func survivors() throws -> [String] {
    var marked: [String] = []
    _ = try waitUntil {
      marked = try self.marked()
      return marked.isEmpty
    }
    return marked
  }

  private func marked() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { id in
      guard Int32(id) != nil, let bytes = FileManager.default.contents(atPath: "/proc/\(id)/environ") else {
        return false
      }
      return bytes.split(separator: 0).contains { $0.elementsEqual(mark.utf8) }
    }.map { "\($0) " + ((try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)) ?? "") }
  }
}

extension NetworkNamespace {
  /// Gives the other an id in this one (`RTM_NEWNSID`), which does not hold it, and goes when it does; no other trace of
  /// a namespace is as sure, for the numbers of `/proc` are used again at once.
  ///
  /// - Returns: Whether it is new; false when it has an id here.
  func watch(_ other: NetworkNamespace) throws -> Bool {
    var body = PayloadWriter()
    body.appendZeros(4)  // struct rtgenmsg
    body.attribute(1, Int32(-1))  // NETNSA_NSID: any
    body.attribute(3, other.handle.descriptor)  // NETNSA_FD
    let request = NetlinkRequest(type: 88, body: body.bytes, name: "RTM_NEWNSID", purpose: "watch a namespace")
    do {
      try connection(.route).execute(request)
      return true
    } catch {
      guard error.code == .alreadyExists else { throw error }
      return false
    }
  }

  /// The ids of other namespaces here (`RTM_GETNSID`).
  func knownNamespaces() throws -> Int {
    var body = PayloadWriter()
    body.appendZeros(4)
    let request = NetlinkRequest(type: 90, body: body.bytes, name: "RTM_GETNSID", purpose: "list namespace ids")
    return try connection(.route).dump(request).count
  }
}

extension Playground {
  /// A world whose host changes only by a command: IPv6 would bring an address into use seconds later, and a new link
  /// takes a moment to come up.
  static func still() throws -> Playground {
    let world = try Playground()
    try world.host.setSysctl("net/ipv6/conf/eth0/disable_ipv6", to: "1")
    _ = try waitUntil {
      try world.output("ip", "link", "show", "eth0", "up", in: world.host)?.contains("state UP") == true
    }
    return world
  }

  /// An operator's view of the host: links, addresses, routes, rules, nftables and sysctls.
  func state() throws -> [String] {
    let script = """
      ip -o link show && ip -o address show && ip route show table all && ip -6 route show table all && ip rule &&
      nft list ruleset && grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6 | sort
      """
    guard let text = try output("sh", "-c", script, in: host) else {
      throw NetworkError(
        .notFound, operation: "look at the host", reason: "ip or nft failed: install iproute2 and nftables")
    }
    return text.split(separator: "\n").map(String.init)
  }

  /// The lines added and removed since `before` that stay so for a while: the kernel deletes a namespace's dependents
  /// in its own time.
  func changes(since before: [String]) throws -> [String] {
    var now: [String] = []
    _ = try waitUntil {
      now = try state()
      return now == before
    }
    return now.filter { !before.contains($0) }.map { "+ \($0)" } + before.filter { !now.contains($0) }.map { "- \($0)" }
  }
}
