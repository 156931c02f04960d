public import SystemPackage

/// A program to start, and how.
///
/// It has the three streams and no other descriptor of this process, no signal blocked, and every signal's default
/// action.
public struct Command: Sendable, Hashable {
  /// Path, or a name that is looked up in `PATH`.
  public var executable: String
  /// Arguments, without the program's name.
  public var arguments: [String]
  /// `NAME=value` each; nil for this process's own.
  public var environment: [String]?
  /// Descriptor for standard input.
  public var input: Int32 = 0
  /// Descriptor for standard output.
  public var output: Int32 = 1
  /// Descriptor for standard error.
  public var error: Int32 = 2
  /// Working directory; nil for this process's own.
  public var directory: FilePath?
  /// Process group and session.
  public var grouping = Grouping.inherited
  /// Whether the kernel kills it (`SIGKILL`) when this process ends, however it ends: `PR_SET_PDEATHSIG`, prctl(2).
  ///
  /// That does not reach what the program itself starts, and a set-user-ID program drops it.
  public var endsWithParent = false

  /// Which process group and session a program is in (credentials(7)); a terminal's ^C goes to a group.
  public enum Grouping: Sendable, Hashable {
    /// Those of this process.
    case inherited
    /// A process group of its own, in this process's session.
    case ownGroup
    /// A session of its own, without a terminal.
    case ownSession
  }

  /// Makes a command.
  public init(_ executable: String, _ arguments: [String] = [], environment: [String]? = nil) {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
  }
}

/// A program that was started; waited for by whoever started it.
public struct ChildProcess: Sendable, Hashable {
  /// Its process id.
  public let id: Int32
  /// Makes a handle for a child of this process.
  public init(id: Int32) { self.id = id }
}
