import ArgumentParser
import ContainerNetworking
import Dispatch

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a command in a network namespace of its own, and take that away at its end.",
    discussion: """
      The command sees resolv.conf, hosts and hostname of its own in /etc, and has a host name of its own. \
      Input and output are the command's; INT, TERM, HUP and QUIT are sent on to it. The exit code is the command's; 128 \
      and the signal's number when one ended it; 127 when there is no such command, 126 when it cannot be started, \
      125 when cnet itself failed.
      """)

  @Option(help: .init("The container's name; cn- and eight digits, unless said.", valueName: "name"))
  var name: String?
  @OptionGroup
  var attachment: AttachArguments
  @Flag(name: .customLong("rm"), help: "Nothing: the container is always removed at the end.")
  var removes = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(parsing: .captureForPassthrough, help: "The command and its arguments, after -- if you like.")
  var command: [String]

  private var words: [String] { Array(command.first == "--" ? command.dropFirst() : command[...]) }

  func validate() throws {
    guard let program = words.first else { throw ValidationError("There is no command; write one after --.") }
    // The parser takes what it does not know, and its own --help, for the command's first word.
    if ["-h", "--help"].contains(command.first) { throw CleanExit.helpRequest(self) }
    if command.first != "--", program.hasPrefix("-") { throw ValidationError("Unknown option '\(program)'") }
  }

  func run() async throws {
    let words = words
    let controller = try await global.controller(reservesPorts: true)
    let name = name ?? randomName()
    let sandbox = try await attachment.attach(name, with: controller)
    let code: Int32
    do throws(NetworkError) {
      code = try await Self.run(words[0], Array(words.dropFirst()), in: sandbox)
    } catch {
      try await Self.detach(name, controller)
      throw error
    }
    do throws(NetworkError) { try await Self.detach(name, controller) } catch {
      // The command's own code is told first.
      Failure.report(error)
      throw ExitCode(code == 0 ? Failure.runCode : code)
    }
    throw ExitCode(code)
  }

  /// Waits for those who are putting the container on a network, or taking it off one, at this moment.
  private static func detach(_ name: String, _ controller: NetworkController) async throws(NetworkError) {
    for _ in 0..<100 {
      do throws(NetworkError) { return try await controller.detach(name) } catch {
        guard error.code == .inUse else { throw error }
        try? await Task.sleep(for: .milliseconds(100))
      }
    }
    try await controller.detach(name)
  }

  private static func run(
    _ program: String, _ arguments: [String], in sandbox: Sandbox
  ) async throws(NetworkError) -> Int32 {
    if let signal = Signals.pending { return 128 + signal }
    var command = Command(program, arguments)
    command.endsWithParent = true
    let child: ChildProcess
    do throws(NetworkError) { child = try sandbox.spawn(command) } catch {
      // Whatever else failed on the way is no fault of the command.
      guard error.kernel?.request == "execve" else { throw error }
      let (code, remedy): (Int32, String)
      switch error.code {
      case .notFound: (code, remedy) = (127, "there is no such command; give its path, or a name in $PATH")
      case .permissionDenied, .kernelRefused:
        (code, remedy) = (126, "it cannot be started; name a file that may be executed")
      default: throw error
      }
      var failure = error
      failure.reason = remedy
      Failure.report(failure)
      return code
    }
    let isOver = SharedFlag()
    Signals.forward(to: child.id, isOver: isOver)
    let status = try await end(of: child)
    isOver.set()
    switch status {
    case .exited(let code): return code
    case .signaled(let signal): return 128 + signal
    }
  }

  private static func end(of child: ChildProcess) async throws(NetworkError) -> ExitStatus {
    let result: Result<ExitStatus, NetworkError> = await withCheckedContinuation { continuation in
      DispatchQueue(label: "cnet.wait").async {
        do throws(NetworkError) { continuation.resume(returning: .success(try child.wait())) } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }
}
