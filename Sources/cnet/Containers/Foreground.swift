import ArgumentParser
import ContainerNetworking
import SystemPackage

/// A command that `run` or `exec` starts and waits for.
enum Foreground {
  /// The verbs that do; their exit codes are the command's.
  static let verbs: Set<String> = [Run._commandName, Exec._commandName]

  /// Starts a command, and tells why where it cannot be started.
  ///
  /// - Returns: The command; or the exit code of one that was not started, 127 or 126.
  /// - Throws: What has nothing to do with the program.
  static func start(_ command: Command, in sandbox: Sandbox) throws(NetworkError) -> Result<ChildProcess, StartFailure>
  {
    do throws(NetworkError) { return .success(try sandbox.spawn(command)) } catch {
      // What fails before that has to do with files and namespaces.
      guard error.kernel?.request == "execve" else { throw error }
      var failure = error
      let isAbsent = error.code == .notFound
      // A path that is there is told of by what is missing to run it.
      let isPath = command.executable.contains("/") && fileTime(FilePath(command.executable)) != nil
      if isAbsent, !isPath {
        failure.reason =
          "there is no such command, and there are no images; give the path of a program of this host, or its name in $PATH"
      } else if !isAbsent {
        failure.reason = "it cannot be started; name a file that may be executed"
      }
      Failure.report(failure)
      return .failure(StartFailure(code: isAbsent ? 127 : 126))
    }
  }

  /// A command that was not started.
  struct StartFailure: Error {
    var code: Int32
  }

  /// Waits until a command has ended, and sends on to it what this process is sent.
  ///
  /// - Returns: Its exit code; 128 and the number of the signal that ended it.
  static func wait(for child: ChildProcess) async throws(NetworkError) -> Int32 {
    let isOver = SharedFlag()
    Signals.forward(to: child.id, isOver: isOver)
    let status = try await child.ended()
    isOver.set()
    switch status {
    case .exited(let code): return code
    case .signaled(let signal): return 128 + signal
    }
  }
}
