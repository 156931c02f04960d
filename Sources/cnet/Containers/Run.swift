import ArgumentParser
import ContainerNetworking
import FoundationEssentials
import SystemPackage

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a command in a network namespace of its own, which is removed at its end.",
    discussion: """
      There are no images: the first word is a program of this host; busybox alone is its shell. The command has its \
      own host name, its own resolv.conf, hosts and hostname in /etc, and its own links in /sys/class/net. Input and \
      output are the command's; it receives INT, TERM, HUP and QUIT. With --detach, the container's id is printed \
      when the command has started, and the command's output goes to its LogPath, see cnet inspect.

      The exit code is the command's; 128 and the signal's number when one ended it; 127 when there is no such command, \
      126 when it cannot be started, 125 when cnet itself failed.
      """, helpNames: .long)

  @Option(help: .init("The container's name; by default cn- and eight digits.", valueName: "name"))
  var name: String?
  @OptionGroup
  var attachment: AttachArguments
  @OptionGroup(title: "Command Options")
  var process: ProcessArguments
  @OptionGroup(title: "Container Options")
  var container: ContainerArguments
  @Flag(name: .customLong("rm"), help: "No effect: the container is always removed at the end.")
  var removes = false
  @Flag(help: .hidden)
  var supervised = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(
    parsing: .captureForPassthrough, help: "The command and its arguments, optionally after --.",
    completion: .shellCommand("compgen -c 2>/dev/null"))
  var command: [String]

  func validate() throws {
    if command.first == "--help" { throw CleanExit.helpRequest(self) }
    _ = try commandWords(command)
  }

  func run() async throws {
    if process.detach, !supervised { try Detached.start(Array(CommandLine.arguments.dropFirst())) }
    process.warnOfTerminal()
    let words = try commandWords(command)
    let variables = try process.variables()
    let labels = try container.labels()
    let exposed = try PortMapping.list(container.expose)
    let controller = try await global.controller(reservesPorts: true)
    let files = RunFiles(try global.place())
    let name = name ?? randomName()
    let log = process.detach ? files.log(of: name) : nil
    // Created before, and removed after, everything else.
    let file = try RunFile(
      name, in: files.directory,
      RunDescription(
        supervisor: ProcessInfo.processInfo.processIdentifier, created: .now(), command: words, labels: labels,
        variables: variables, exposed: exposed, publishesAll: container.publishAll, isInteractive: process.interactive,
        hasTerminal: process.tty, isDetached: process.detach, log: log?.string))
    defer { file.remove() }
    let more = container.publishAll ? try container.unpublished(exposed, besides: attachment.mappings()) : []
    let sandbox = try await attachment.attach(name, with: controller, ports: more)
    let code: Int32
    do throws(NetworkError) {
      try container.set(in: sandbox)
      code = try await run(process.command(words, variables), in: sandbox, file, log: log)
    } catch {
      try await Self.detach(name, controller)
      throw error
    }
    do throws(NetworkError) { try await Self.detach(name, controller) } catch {
      // The command's own exit code has precedence.
      Failure.report(error)
      throw ExitCode(code == 0 ? Failure.runCode : code)
    }
    throw ExitCode(code)
  }

  /// Detaches a container; waits while another process connects or disconnects it.
  static func detach(_ name: String, _ controller: NetworkController) async throws(NetworkError) {
    for _ in 0..<100 {
      do throws(NetworkError) { return try await controller.detach(name) } catch {
        guard error.code == .inUse else { throw error }
        try? await Task.sleep(for: .milliseconds(100))
      }
    }
    try await controller.detach(name)
  }

  private func run(
    _ command: Command, in sandbox: Sandbox, _ file: RunFile, log: FilePath?
  ) async throws(NetworkError) -> Int32 {
    if let signal = Signals.pending { return 128 + signal }
    var command = command
    command.endsWithParent = true
    try container.write(id: sandbox.containerID)
    let streams = try log.map { (log) throws(NetworkError) in
      try DetachedStreams(log: log, hasTerminal: process.tty, isInteractive: process.interactive)
    }
    streams?.lend(to: &command)
    switch try Foreground.start(command, in: sandbox) {
    case .failure(let failure): return failure.code
    case .success(let child):
      try file.started(child.id)
      try streams?.release(saying: sandbox.containerID)
      return try await Foreground.wait(for: child)
    }
  }
}
