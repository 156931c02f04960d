import CContainerNetworking
import Glibc
public import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// Starts a program in the namespace, and returns once it executes.
  ///
  /// - Throws: `.notFound` for a missing program, working directory or file to bind; `.invalidValue` for a NUL in a
  ///   text; otherwise the refusal, with the name of the call.
  public func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try command.check()
    let executable = CStringArray([command.executable])
    let arguments = CStringArray([command.name ?? command.executable] + command.arguments)
    let environment = command.environment.map { CStringArray($0) }
    // A process that joins another mount namespace starts at its root.
    let start = command.directory ?? (command.companion == nil ? nil : SystemView.currentDirectory())
    let directory = start.map { CStringArray([$0.string]) }
    let names = CStringArray([command.hostname ?? "", command.domainname ?? ""])
    let isAlone = command.companion == nil
    let bindings = CBindings(isAlone ? command.bindings : [])
    let sysfs =
      command.seesOwnSysfs && isAlone && !command.bindings.isEmpty ? CStringArray(SystemView.sysfsMounts()) : nil
    let joined = try CompanionNamespaces(command.companion, command.operation)
    var failure = unsafe cn_start_failure(call: nil, file: nil)
    let id = withExtendedLifetime((arguments, environment, directory, names, bindings, sysfs, joined)) {
      // argv[0] is the executable itself, so it has an address.
      var program = unsafe cn_program(
        path: executable.pointers[0].unsafelyUnwrapped, argv: arguments.pointers, environment: environment?.pointers,
        directory: directory?.pointers[0],
        streams: (command.input.rawValue, command.output.rawValue, command.error.rawValue),
        grouping: command.grouping.shimValue, ends_with_parent: command.endsWithParent ? 1 : 0,
        bindings: bindings.pointer, binding_count: bindings.count,
        hostname: command.hostname == nil || !isAlone ? nil : names.pointers[0],
        domainname: command.domainname == nil || !isAlone ? nil : names.pointers[1],
        mount_namespace: joined.mount, uts_namespace: joined.uts,
        sysfs_mounts: sysfs.map {
          unsafe UnsafeRawPointer($0.pointers).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
        })
      return unsafe cn_namespace_spawn(namespace.descriptor, &program, &failure)
    }
    let call = unsafe failure.call.map { unsafe String(cString: $0) } ?? "clone"
    let file = unsafe failure.file.map { unsafe String(cString: $0) }
    do throws(NetworkError) { return ChildProcess(id: try check(id, call, command.operation), on: self) } catch {
      throw Self.explained(error, call, file, command)
    }
  }

  /// Adds the obstacle to the error, if it was not the program itself.
  private static func explained(
    _ error: NetworkError, _ call: String, _ file: String?, _ command: Command
  ) -> NetworkError {
    var error = error
    switch (call, file, error.code) {
    case (_, _, .notFound) where command.companion == nil || call == "execve": error.reason = missing(call, command)
    case ("mount", let file?, _): error.reason = "nothing can be mounted at \(file) in its view of the files"
    case ("chdir", let file?, _): error.reason = "its working directory \(file) cannot be entered; name another"
    case ("setns", _, .permissionDenied): error.reason = "run as root, in the namespaces of the machine"
    case ("ioctl", _, _): error.reason = "standard input is not a terminal that it can take"
    default: break
    }
    return error
  }

  /// The file or directory that a call did not find.
  private static func missing(_ call: String, _ command: Command) -> String {
    let isThere = { (path: String) in unsafe access(path, F_OK) == 0 }
    switch call {
    case "execve":
      let isPath = command.executable.contains("/")
      return isPath && isThere(command.executable)
        ? "\(command.executable) exists, but not its interpreter: the program in its first line (#!), or its loader"
        : "there is no such program; give its path, or a name in $PATH"
    case "chdir": return "there is no directory \(command.directory?.string ?? ""); make it, or name another"
    case "mount":
      let lost = command.bindings.first { !isThere($0.source.string) }
      return lost.map { "there is no file \($0.source) to be seen at \($0.target); make it again" } ?? ""
    default: return ""
    }
  }
}

extension Command.Grouping {
  fileprivate var shimValue: cn_grouping {
    switch self {
    case .inherited: CN_INHERITED
    case .ownGroup: CN_OWN_GROUP
    case .ownSession: CN_OWN_SESSION
    case .ownTerminal: CN_OWN_TERMINAL
    }
  }
}

/// `argv` for C: owned copies, NULL at the end, freed with the object.
@safe private final class CStringArray {
  @unsafe let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    unsafe pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { unsafe (pointers + index).initialize(to: strdup(string)) }
    unsafe (pointers + count).initialize(to: nil)
  }

  deinit {
    for index in 0..<count { unsafe free(pointers[index]) }
    unsafe pointers.deallocate()
  }
}

/// `cn_binding`s for C, whose texts are owned copies, freed with the object.
@safe private final class CBindings {
  @unsafe let pointer: UnsafeMutablePointer<cn_binding>
  let count: Int
  private let texts: CStringArray

  init(_ bindings: [FileBinding]) {
    count = bindings.count
    texts = CStringArray(bindings.flatMap { [$0.source.string, $0.target.string] })
    unsafe pointer = .allocate(capacity: count)
    for index in 0..<count {
      // Copies of strings have addresses.
      let binding = unsafe cn_binding(
        source: texts.pointers[2 * index].unsafelyUnwrapped, target: texts.pointers[2 * index + 1].unsafelyUnwrapped)
      unsafe (pointer + index).initialize(to: binding)
    }
  }

  deinit { unsafe pointer.deallocate() }
}
