import ArgumentParser
import ContainerNetworking
import FoundationEssentials
import Glibc

struct Stop: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Stop containers by ending their commands, and print each.",
    discussion: """
      A container from attach leaves its networks, and keeps its static addresses until it is attached again or \
      removed.
      """)

  @Option(name: .shortAndLong, help: .init("The signal that ends the command.", valueName: "signal"))
  var signal = SignalName.terminate
  @Option(
    name: [.customShort("t"), .customLong("time"), .customLong("timeout")],
    help: .init("Time to wait before the command is killed; -1 for ever.", valueName: "seconds"))
  var time = 10
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The containers' names or ids.", completion: .custom(Known.containers))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    let supervision = Supervision(files: RunFiles(try global.place()))
    try await forEach(names) { text throws(NetworkError) in
      let name = try await containerName(text, controller)
      if try await !supervision.end(name, signal.number, seconds: time) { try await controller.stop(name) }
      print(text)
    }
  }
}

struct RemoveContainers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove containers that do not run; release endpoints, ports and addresses.")

  @Flag(name: .shortAndLong, help: "Kill a command that runs, and ignore a missing container.")
  var force = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The containers' names or ids.", completion: .custom(Known.containers))
  var names: [String]

  func run() async throws {
    let controller = try await global.controller()
    let files = RunFiles(try global.place())
    try await forEach(names) { text throws(NetworkError) in
      let name = try await containerName(text, controller)
      if force {
        if try await Supervision(files: files).end(name, SIGKILL, seconds: 0) { return print(text) }
      } else if files.known(name)?.isSupervised == true {
        throw NetworkError(
          .inUse, operation: "remove container \"\(text)\"", reason: "its command runs; stop it first, or give --force")
      }
      do throws(NetworkError) { try await controller.detach(name) } catch {
        guard force, error.code == .notFound else { throw error }
      }
      files.forget(name)
      print(text)
    }
  }
}

/// A signal by name or number: `TERM`, `SIGTERM`, `15`.
struct SignalName: ExpressibleByArgument, CustomStringConvertible {
  let number: Int32
  let description: String

  static let terminate = SignalName(number: SIGTERM, description: "TERM")

  private static let names: [String: Int32] = [
    "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ABRT": SIGABRT, "KILL": SIGKILL, "USR1": SIGUSR1, "USR2": SIGUSR2,
    "ALRM": SIGALRM, "TERM": SIGTERM, "CONT": SIGCONT, "STOP": SIGSTOP, "WINCH": SIGWINCH,
  ]

  private init(number: Int32, description: String) {
    self.number = number
    self.description = description
  }

  init?(argument: String) {
    let name = argument.uppercased()
    let short = name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name
    guard let number = Self.names[short] ?? Int32(argument), (1...64).contains(number) else { return nil }
    self.init(number: number, description: argument)
  }
}

/// Ends supervised commands.
struct Supervision {
  let files: RunFiles

  /// Sends a container's command a signal, kills it after a time limit, and waits until the container is gone.
  ///
  /// - Returns: Whether it was supervised; otherwise nothing is done.
  /// - Throws: `.inUse` if it still exists a minute after its command was killed.
  func end(_ container: String, _ signal: Int32, seconds: Int) async throws(NetworkError) -> Bool {
    guard var known = files.known(container), known.isSupervised else { return false }
    send(signal, known.description)
    let tick = 20
    var left = seconds < 0 ? Int.max : seconds * 1_000
    var isKilled = false
    while true {
      try? await Task.sleep(for: .milliseconds(tick))
      guard let now = files.known(container), now.isSupervised,
        now.description.supervisor == known.description.supervisor
      else { return true }
      known = now
      left -= tick
      guard left <= 0 else { continue }
      if isKilled {
        throw NetworkError(
          .inUse, operation: "stop container \"\(container)\"",
          reason: "its supervisor, process \(known.description.supervisor), does not end; look at that process")
      }
      send(SIGKILL, known.description)
      (isKilled, left) = (true, 60_000)
    }
  }

  /// Forwarded signals go to the supervisor, which lives while its lock exists; others to its child.
  private func send(_ signal: Int32, _ description: RunDescription) {
    if [SIGINT, SIGTERM, SIGHUP, SIGQUIT].contains(signal) {
      kill(description.supervisor, signal)
    } else if let process = description.process, isChild(process, of: description.supervisor) {
      kill(process, signal)
    }
  }

  /// Reads proc_pid_stat(5), whose fourth field is the parent; the second may contain blanks and parentheses.
  private func isChild(_ process: Int32, of parent: Int32) -> Bool {
    let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 1 && Int32(fields[1]) == parent
  }
}
