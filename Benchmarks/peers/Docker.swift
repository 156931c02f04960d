import ContainerNetworking
import Glibc
import Playground
import SystemPackage

/// A Docker daemon of the benchmark's own, and `docker network connect` for a container that runs; without a published
/// port, which Docker gives a container only when it starts.
@MainActor final class Docker: Contender {
  let name = "docker network connect, no port"
  let counts = [1]
  let rounds: Int
  /// The daemon does the work.
  let tellsProcessorTime = false
  private let programs: Programs
  private var daemon: ChildProcess?

  init?(rounds: Int) throws {
    guard Programs.find("/usr/sbin/dockerd", "/usr/bin/dockerd") != nil,
      Programs.find("/bin/busybox", "/usr/bin/busybox") != nil
    else { return nil }
    self.rounds = rounds
    programs = try Programs("docker")
  }

  private var socket: String { "unix://\(programs.directory.appending("socket"))" }

  func prepare() async throws {
    let directory = programs.directory
    // Its mounts are in a mount namespace of its own, its bridges in the host that is the benchmark's.
    var command = Command(
      "unshare",
      [
        "--mount", "--propagation", "private", "dockerd", "--data-root", directory.appending("data").string,
        "--exec-root", directory.appending("exec").string, "--pidfile", directory.appending("pid").string, "--host",
        socket, "--storage-driver", "vfs", "--log-level", "error",
      ])
    let log = try FileDescriptor.open(
      directory.appending("log"), .writeOnly, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
    defer { try? log.close() }
    command.output = log.rawValue
    command.error = log.rawValue
    command.endsWithParent = true
    daemon = try programs.world.host.spawn(command)
    for _ in 0..<150 {
      if (try? docker("info")) != nil { break }
      usleep(200_000)
    }
    try programs.run("mkdir", ["-p", "\(directory)/root/bin"])
    try programs.run("cp", [Programs.find("/bin/busybox", "/usr/bin/busybox") ?? "", "\(directory)/root/bin/busybox"])
    try programs.run("tar", ["-C", "\(directory)/root", "-cf", "\(directory)/image.tar", "."])
    try docker("import", "\(directory)/image.tar", "bench")
    try docker("network", "create", "bench")
    try makeRunning("filler")
    try docker("network", "connect", "bench", "filler")
    try makeRunning("guest")
  }

  private func makeRunning(_ name: String) throws {
    try docker("run", "--detach", "--name", name, "--network", "none", "bench", "/bin/busybox", "sleep", "600")
    try docker("network", "disconnect", "none", name)
  }

  @discardableResult
  private func docker(_ arguments: String...) throws -> String {
    try programs.run("docker", ["--host", socket] + arguments)
  }

  // The first container is there since prepare(); there is one that comes and goes.
  func makeContainer(_ number: Int) throws {}
  func attach(_ number: Int) throws { if number > 1 { try docker("network", "connect", "bench", "guest") } }
  func detach(_ number: Int) throws { if number > 1 { try docker("network", "disconnect", "bench", "guest") } }

  func finish() async {
    for name in ["filler", "guest"] { _ = try? docker("rm", "--force", name) }
    if let daemon {
      try? daemon.signal(SIGTERM)
      _ = try? daemon.wait(timeoutMilliseconds: 20_000)
    }
    programs.finish()
  }
}
