import BenchmarkKit
import ContainerNetworking
import FoundationEssentials
import Glibc
import Playground
import SystemPackage

/// A Docker daemon of the benchmark's own, and `docker network connect` for containers that run; without a published port,
/// which Docker gives a container only when it starts.
///
/// The daemon is in a process namespace of its own, so that its containers end with it however that comes to be, and in a
/// mount namespace where what it would leave on the machine is memory.
@MainActor final class Docker: Contender {
  let who = Contestant.docker
  let counts: [Int]
  let rounds: Int
  let makesNetworks = true
  let programs: Programs
  private var daemon: ChildProcess?
  /// The containers that run, attached or not.
  private(set) var running: Set<Int> = []

  init?(_ settings: Settings) throws {
    guard Programs.find("/usr/sbin/dockerd", "/usr/bin/dockerd") != nil, Self.busybox != nil else { return nil }
    rounds = settings.peerRounds
    counts = settings.dockerCounts
    programs = try Programs("docker", in: settings.directory)
  }

  /// The daemon's and its programs', and that of the client.
  var processorTime: Double { ProcessorTime.ofProcesses(in: programs.world.host) + ProcessorTime.ofPrograms }

  private static var busybox: String? { Programs.find("/bin/busybox", "/usr/bin/busybox") }

  private var socket: String { "unix://\(programs.directory.appending("socket"))" }

  func prepare() async throws {
    let directory = programs.directory
    let group = directory.removingLastComponent().lastComponent?.string ?? "cn-benchmark"
    let script = """
      for place in /run /opt /etc/docker; do [ ! -d $place ] || mount -t tmpfs none $place || exit 1; done; exec dockerd \
      --data-root \(directory)/data --exec-root \(directory)/exec --pidfile \(directory)/pid --host \(socket) \
      --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /\(group) --storage-driver vfs --log-level error
      """
    var command = Command(
      "unshare",
      ["--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "/bin/sh", "-c", script])
    let log = try FileDescriptor.open(
      directory.appending("log"), .writeOnly, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
    defer { try? log.close() }
    command.output = log
    command.error = log
    command.endsWithParent = true
    daemon = try programs.world.host.spawn(command)
    try awaitDaemon()
    try programs.run("mkdir", ["-p", "\(directory)/root/bin"])
    try programs.run("cp", [Self.busybox ?? "", "\(directory)/root/bin/busybox"])
    try programs.run("tar", ["-C", "\(directory)/root", "-cf", "\(directory)/image.tar", "."])
    try docker("import", "\(directory)/image.tar", "bench")
    try docker("network", "create", "bench")
  }

  private func awaitDaemon() throws {
    for _ in 0..<150 {
      if (try? docker("info")) != nil { return }
      usleep(200_000)
    }
    let log = (try? String(contentsOfFile: programs.directory.appending("log").string, encoding: .utf8)) ?? ""
    throw NetworkError(.replyLost, operation: "start dockerd", reason: "\(log.suffix(500))")
  }

  @discardableResult
  private func docker(_ arguments: String...) throws -> String {
    try programs.run("docker", ["--config", "\(programs.directory)/client", "--host", socket] + arguments)
  }

  /// Containers run on; the same ones come and go.
  func makeContainer(_ number: Int) throws {
    guard running.insert(number).inserted else { return }
    try run("c\(number)", ["--network", "none"])
    try docker("network", "disconnect", "none", "c\(number)")
  }

  private func run(_ name: String, _ options: [String]) throws {
    let arguments = ["run", "--detach", "--name", name] + options + ["bench", "/bin/busybox", "sleep", "3600"]
    try programs.run("docker", ["--config", "\(programs.directory)/client", "--host", socket] + arguments)
  }

  func attach(_ number: Int) throws { try docker("network", "connect", "bench", "c\(number)") }

  func attachAtOnce(_ numbers: [Int]) throws {
    let (programs, socket) = (programs, socket)
    try Programs.atOnce(numbers) { number in
      try programs.run(
        "docker",
        ["--config", "\(programs.directory)/client", "--host", socket, "network", "connect", "bench", "c\(number)"])
    }
  }

  func detach(_ number: Int) throws { try docker("network", "disconnect", "bench", "c\(number)") }
  func createNetwork(_ number: Int) throws { try docker("network", "create", "more\(number)") }
  func removeNetwork(_ number: Int) throws { try docker("network", "rm", "more\(number)") }

  /// Starts a container with one port of its own, beside another with all the others.
  ///
  /// - Returns: The namespace of the one, whose port 80 is published as ``Numbering/port(_:)`` of 1.
  func publish(_ count: Int) throws -> NetworkNamespace {
    if count > 1 {
      let others = "\(Numbering.port(2))-\(Numbering.port(count))"
      try run("ports", ["--network", "bench", "--publish", "\(others):\(others)"])
    }
    try run("port", ["--network", "bench", "--publish", "\(Numbering.port(1)):80"])
    let key = try docker("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "port").filter { !$0.isWhitespace }
    // As the daemon sees it, whose mounts are its own.
    let path = key.hasPrefix("/var/run/") ? String(key.dropFirst(4)) : key
    return try .open(at: FilePath("/proc/\(daemon?.id ?? 0)/root\(path)"))
  }

  func unpublish(_ count: Int) throws {
    try docker("rm", "--force", "port")
    if count > 1 { try docker("rm", "--force", "ports") }
  }

  func finish() async {
    guard let daemon else { return }
    // All that it started ends with the first process of its namespace.
    try? daemon.signal(SIGKILL)
    _ = try? daemon.wait(timeout: .seconds(20))
  }
}
