import ArgumentParser
import ContainerNetworking
import SystemPackage

/// A command that `run` or `exec` starts and waits for.
enum Foreground {
  /// The verbs of this kind; their exit codes are the command's.
  static let verbs: Set<String> = [Run._commandName, Exec._commandName]

  /// Starts a command, and reports why it cannot be started.
  ///
  /// - Returns: The command; or the exit code of one that was not started, 127 or 126.
  /// - Throws: Errors that do not concern the program.
  static func start(_ command: Command, in sandbox: Sandbox) throws(NetworkError) -> Result<ChildProcess, StartFailure>
  {
    do throws(NetworkError) { return .success(try sandbox.spawn(command)) } catch {
      // Earlier failures concern files and namespaces.
      guard error.kernel?.request == "execve" else { throw error }
      var failure = error
      let isAbsent = error.code == .notFound
      // For an existing path, the error names the missing requirement instead.
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

  /// Waits until a command has ended, and forwards this process's signals to it.
  ///
  /// - Returns: Its exit code; 128 plus the number of the signal that ended it.
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
