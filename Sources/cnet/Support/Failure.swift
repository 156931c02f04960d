import ArgumentParser
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

/// The output of failures, and their exit codes.
enum Failure {
  /// `run` itself failed, before its command started.
  static let runCode: Int32 = 125

  /// Reports an error and ends.
  static func end(_ error: any Error, verb: String?) -> Never {
    if let code = (error as? ExitCode)?.rawValue { leave(code) }
    let isRun = verb.map(Foreground.verbs.contains) ?? false
    if let error = error as? NetworkError {
      report(error)
      leave(isRun ? runCode : ExitCode.failure.rawValue)
    }
    let text = Cnet.fullMessage(for: error)
    let code = Cnet.exitCode(for: error).rawValue
    guard code != 0 else {
      print(text)
      leave(0)
    }
    write(text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text)
    leave(isRun ? runCode : code)
  }

  /// Prints `cnet: ` and the error, its causes indented beneath it.
  static func report(_ error: NetworkError) { write(error.description) }

  /// Prints a warning about an option that was not applied.
  static func warn(_ warning: AttachWarning) { warn(warning.description) }

  /// Prints a warning about an unexpected result.
  static func warn(_ text: String) { write("warning: \(text)") }

  private static func write(_ text: String) {
    // Earlier output comes first, even if both streams are one file.
    fflush(nil)
    let name = Terminal(.asked(for: CommandLine.arguments), .standardError).red("cnet:")
    _ = try? FileDescriptor.standardError.writeAll("\(name) \(text)\n".utf8)
  }

  private static func leave(_ code: Int32) -> Never {
    fflush(nil)
    exit(code)
  }
}

/// Calls `body` for each name, and continues after failures.
///
/// - Throws: Exit code 1 if one failed; each failure has been reported.
func forEach(_ names: [String], _ body: (String) async throws(NetworkError) -> Void) async throws {
  var isWhole = true
  for name in names {
    do throws(NetworkError) { try await body(name) } catch {
      Failure.report(error)
      isWhole = false
    }
  }
  if !isWhole { throw ExitCode.failure }
}
