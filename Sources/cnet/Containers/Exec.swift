import ArgumentParser
import ContainerNetworking
import SystemPackage

struct Exec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run one more command in a container.",
    discussion: """
      The command has the container's network, host name, view of the files and environment. Input, output, signals \
      and exit codes are those of run. In a container from attach, /etc has the container's resolv.conf, hosts and \
      hostname.
      """)

  @OptionGroup(title: "Command Options")
  var process: ProcessArguments
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The container's name or id.", completion: .custom(Known.containers))
  var container: String
  @Argument(parsing: .captureForPassthrough, help: "The command and its arguments, optionally after --.")
  var command: [String]

  func validate() throws {
    if container == "--help" || command.first == "--help" { throw CleanExit.helpRequest(self) }
    _ = try commandWords(command)
  }

  func run() async throws {
    process.warnOfTerminal()
    let controller = try await global.controller()
    let name = try await containerName(container, controller)
    let sandbox = try await controller.sandbox(name)
    let known = RunFiles(try global.place()).known(name)
    var command = process.command(
      try commandWords(command), (known?.description.variables ?? []) + (try process.variables()))
    command.companion = companion(known, sandbox)
    if let signal = Signals.pending { throw ExitCode(128 + signal) }
    guard process.detach else {
      command.endsWithParent = true
      switch try Foreground.start(command, in: sandbox) {
      case .failure(let failure): throw ExitCode(failure.code)
      case .success(let child): throw ExitCode(try await Foreground.wait(for: child))
      }
    }
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite, options: .closeOnExec)
    (command.input, command.output, command.error) = (null, null, null)
    command.grouping = .ownSession
    if case .failure(let failure) = try Foreground.start(command, in: sandbox) { throw ExitCode(failure.code) }
  }

  /// The container's command, if it is still in the container's namespace.
  private func companion(_ known: RunFiles.Known?, _ sandbox: Sandbox) -> Int32? {
    guard let known, known.isSupervised, let process = known.description.process,
      (try? NetworkNamespace.open(process: process).identity) == sandbox.namespace.identity
    else { return nil }
    return process
  }
}
