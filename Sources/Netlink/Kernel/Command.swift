package import NetworkPrimitives
public import SystemPackage

/// A program to start, and its environment.
///
/// The program inherits the three standard streams and no other descriptor of this process. No signal is blocked, and
/// every signal has its default action.
public struct Command: Sendable, Hashable {
  /// Path, or a name that is looked up in `PATH`.
  public var executable: String
  /// Arguments, without the program's name.
  public var arguments: [String]
  /// The program's own name (`argv[0]`, execve(2)), which ps(1) shows with its arguments; nil for ``executable``.
  public var name: String?
  /// Environment entries, `NAME=value` each; nil for this process's own.
  public var environment: [String]?
  /// Standard input.
  public var input: FileDescriptor
  /// Standard output.
  public var output: FileDescriptor
  /// Standard error.
  public var error: FileDescriptor
  /// Working directory; nil for this process's own.
  public var directory: FilePath?
  /// Process group and session.
  public var grouping: Grouping
  /// Whether the kernel kills it (`SIGKILL`) when this process ends, however it ends: `PR_SET_PDEATHSIG`, prctl(2).
  ///
  /// Does not reach the program's own children; a set-user-ID program drops it.
  public var endsWithParent: Bool
  /// Files bound over other files in a mount namespace of the program's own (mount_namespaces(7)); no other process
  /// sees them there. Needs `CAP_SYS_ADMIN`.
  public var bindings: [FileBinding]
  /// Whether `/sys/class/net` shows the links of its network namespace, instead of those of the namespace in which
  /// `/sys` was mounted (sysfs(5)). Uses the same mount namespace as ``bindings``. Where the machine forbids mounting a
  /// sysfs, the program sees the old one.
  public var seesOwnSysfs: Bool
  /// A process whose mount and UTS namespaces the program joins, for that process's files and host name. The program
  /// then has neither bindings nor names of its own. Nil for this process's namespaces.
  public var companion: Int32?
  /// Its host name, in a UTS namespace of its own (uts_namespaces(7)); nil for this process's.
  public var hostname: String?
  /// Its NIS domain name, in the same namespace; nil for this process's.
  public var domainname: String?

  /// The process group and session of a program (credentials(7)); a terminal's ^C goes to a group.
  public enum Grouping: Sendable, Hashable {
    /// This process's own group and session.
    case inherited
    /// A process group of its own, in this process's session.
    case ownGroup
    /// A session of its own, without a terminal.
    case ownSession
    /// A session of its own, whose terminal is standard input.
    case ownTerminal
  }

  /// Makes a command; the defaults are this process's streams and environment.
  public init(
    _ executable: String, _ arguments: [String] = [], name: String? = nil, environment: [String]? = nil,
    input: FileDescriptor = .standardInput, output: FileDescriptor = .standardOutput,
    error: FileDescriptor = .standardError, directory: FilePath? = nil, grouping: Grouping = .inherited,
    endsWithParent: Bool = false, bindings: [FileBinding] = [], seesOwnSysfs: Bool = false, companion: Int32? = nil,
    hostname: String? = nil, domainname: String? = nil
  ) {
    self.executable = executable
    self.arguments = arguments
    self.name = name
    self.environment = environment
    self.input = input
    self.output = output
    self.error = error
    self.directory = directory
    self.grouping = grouping
    self.endsWithParent = endsWithParent
    self.bindings = bindings
    self.seesOwnSysfs = seesOwnSysfs
    self.companion = companion
    self.hostname = hostname
    self.domainname = domainname
  }
}

extension Command: CustomStringConvertible, CustomDebugStringConvertible {
  /// The words: `busybox httpd -f`.
  public var description: String { ([executable] + arguments).joined(separator: " ") }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }

  /// The operation, as errors name it.
  package var operation: String { "start \(executable)\(directory.map { " in directory \($0)" } ?? "")" }

  /// - Throws: `.invalidValue` for a NUL in a text.
  package func check() throws(NetworkError) {
    let texts = [executable] + arguments + (environment ?? []) + [name, hostname, domainname].compactMap(\.self)
    guard let text = texts.first(where: { $0.utf8.contains(0) }) else { return }
    throw .invalid(operation, "\"\(text)\" has a NUL, which ends a text for the kernel; leave it out")
  }
}

/// A file bound over another (`MS_BIND`, mount(2)).
public struct FileBinding: Sendable, Hashable {
  /// The file.
  public var source: FilePath
  /// The path where it is seen; a missing target is skipped.
  public var target: FilePath

  /// Makes a binding.
  public init(_ source: FilePath, at target: FilePath) {
    self.source = source
    self.target = target
  }
}

extension FileBinding: CustomStringConvertible {
  /// `/run/me/hosts at /etc/hosts`.
  public var description: String { "\(source) at \(target)" }
}
