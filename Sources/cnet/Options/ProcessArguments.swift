import ArgumentParser
import ContainerNetworking
import FoundationEssentials
import SystemPackage

/// The options for starting a command, for `run` and `exec`.
struct ProcessArguments: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Start the command, and do not wait for its end.")
  var detach = false
  @Flag(
    name: .shortAndLong, help: "Keep the input of a detached command open; in the foreground it always is.")
  var interactive = false
  @Flag(name: .shortAndLong, help: "Give a detached command a terminal; in the foreground it has cnet's own.")
  var tty = false
  @Option(
    name: [.customShort("e"), .customLong("env")],
    help: .init("An environment variable; without a value, this process's.", valueName: "name[=value]"))
  var environment: [String] = []
  @Option(
    name: .customLong("env-file"), help: .init("A file of environment variables, one per line.", valueName: "file"),
    completion: .file())
  var environmentFiles: [String] = []
  @Option(
    name: .shortAndLong, help: .init("Its working directory; by default this one.", valueName: "dir"),
    completion: .directory)
  var workdir: String?

  /// The requested variables, `NAME=value` each, those of files first.
  func variables() throws(NetworkError) -> [String] {
    var lines: [String] = []
    for file in environmentFiles { lines += try Self.lines(of: file) }
    let own = ProcessInfo.processInfo.environment
    var variables: [String] = []
    for line in lines + environment {
      if line.contains("=") {
        guard line.first != "=" else {
          throw NetworkError(
            .invalidValue, operation: "read variable \"\(line)\"", reason: "it has no name; write one, as in TIER=db")
        }
        variables.append(line)
      } else if let value = own[line] {
        variables.append("\(line)=\(value)")
      }
    }
    return variables
  }

  /// The lines of a file, without comments and empty lines.
  static func lines(of file: String) throws(NetworkError) -> [String] {
    do {
      return try String(contentsOfFile: absolutePath(file).string, encoding: .utf8).split(separator: "\n")
        .map(String.init).filter { !$0.hasPrefix("#") }
    } catch {
      throw NetworkError(
        .notFound, operation: "read file \(file)",
        reason: "it is missing, or not text; name a file with a line for each")
    }
  }

  /// The command for these words.
  ///
  /// - Parameter variables: Its environment in addition to this process's.
  func command(_ words: [String], _ variables: [String]) -> Command {
    var command = Command(words[0], Array(words.dropFirst()))
    if !variables.isEmpty {
      var environment = ProcessInfo.processInfo.environment
      for variable in variables {
        let halves = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        environment[halves[0]] = halves[1]
      }
      command.environment = environment.map { "\($0)=\($1)" }.sorted()
    }
    command.directory = workdir.map(absolutePath)
    return command
  }

  /// Warns a user who asked for a terminal when there is none.
  func warnOfTerminal() {
    guard tty, !detach, !Terminal.isTerminal(.standardInput) else { return }
    Failure.warn("the command has no terminal: standard input is not a terminal")
  }
}

/// The words of a command line that begins with a command's name.
///
/// - Throws: ``ValidationError`` if they begin with an option.
func commandWords(_ command: [String]) throws -> [String] {
  let words = Array(command.first == "--" ? command.dropFirst() : command[...])
  guard let program = words.first else { throw ValidationError("There is no command; write one after --.") }
  // The parser takes an unknown option for the command's first word.
  if command.first != "--", program.hasPrefix("-") { throw ValidationError("Unknown option '\(program)'") }
  // The image of that name runs its shell by default, and tutorials about networks use it like this.
  return words == ["busybox"] ? ["busybox", "sh"] : words
}
