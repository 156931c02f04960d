import ArgumentParser
import ContainerNetworking
import Dispatch
import Glibc
import SystemPackage

/// Commands that continue after `cnet` has returned: another process of this program supervises each, and removes its
/// container at its end.
enum Detached {
  /// Starts that process, and ends with its answer: the container's id, or its exit code.
  ///
  /// - Parameter arguments: This program's.
  static func start(_ arguments: [String]) throws -> Never {
    let operation = "start the command's supervisor"
    var words = try Spelling.ours(arguments)
    words.insert("--supervised", at: 1)
    var command = Command("/proc/self/exe", words)
    command.grouping = .ownSession
    let (answer, child): (String, ChildProcess)
    do {
      let null = try FileDescriptor.open(FilePath("/dev/null"), .readOnly, options: .closeOnExec)
      let pipe = try FileDescriptor.pipe()
      (command.input, command.output) = (null, pipe.writeEnd)
      let spawned = Result { try NetworkNamespace.current().spawn(command) }
      try pipe.writeEnd.close()
      child = try spawned.get()
      // A line means that the command has started; the end of file, that it has not.
      var buffer = [UInt8](repeating: 0, count: 128)
      let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe pipe.readEnd.read(into: $0) }
      answer = String(decoding: buffer[..<count], as: UTF8.self)
    } catch let error as NetworkError { throw error } catch {
      throw NetworkError(
        .kernelRefused, operation: operation, kernel: KernelReport(errno: error as? Errno ?? .ioError, request: "open"))
    }
    guard answer.isEmpty else {
      print(answer, terminator: "")
      throw ExitCode.success
    }
    switch try child.wait() {
    case .exited(let code): throw ExitCode(code)
    case .signaled(let signal): throw ExitCode(128 + signal)
    }
  }
}

/// The streams of a detached command: its output goes to a file.
final class DetachedStreams {
  private let log: FileDescriptor
  private let input: FileDescriptor
  /// Keeps the input open while this process lives.
  private let writer: FileDescriptor?
  private let terminal: PseudoTerminal?

  init(log path: FilePath, hasTerminal: Bool, isInteractive: Bool) throws(NetworkError) {
    do {
      log = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate, .append, .closeOnExec], permissions: .ownerReadWrite)
      terminal = hasTerminal ? try PseudoTerminal() : nil
      let pipe = isInteractive && !hasTerminal ? try FileDescriptor.pipe() : nil
      writer = pipe?.writeEnd
      input = try pipe?.readEnd ?? FileDescriptor.open(FilePath("/dev/null"), .readOnly, options: .closeOnExec)
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        NetworkError.Code(errno), operation: "open the streams of a detached command",
        reason: "\(path) or a terminal cannot be opened", kernel: KernelReport(errno: errno, request: "open"))
    }
  }

  /// Sets them as the command's streams.
  func lend(to command: inout Command) {
    guard let terminal else {
      (command.input, command.output, command.error) = (input, log, log)
      command.grouping = .ownSession
      return
    }
    let end = terminal.commandsEnd
    (command.input, command.output, command.error) = (end, end, end)
    command.grouping = .ownTerminal
  }

  /// Reports that the command has started, and closes the starter's streams.
  func release(saying text: String) throws(NetworkError) {
    try? input.close()
    terminal?.copy(to: log)
    print(text)
    fflush(nil)
    do {
      let null = try FileDescriptor.open(FilePath("/dev/null"), .writeOnly, options: .closeOnExec)
      _ = try null.duplicate(as: .standardOutput)
      _ = try log.duplicate(as: .standardError)
      try null.close()
    } catch {
      throw NetworkError(
        .kernelRefused, operation: "leave the terminal",
        kernel: KernelReport(errno: error as? Errno ?? .ioError, request: "dup2"))
    }
  }
}

/// A pseudoterminal without a user (pty(7)).
private struct PseudoTerminal {
  let ours: FileDescriptor
  let commandsEnd: FileDescriptor

  init() throws {
    // The work of posix_openpt(3), unlockpt(3) and ptsname(3), which the compiler does not import.
    ours = try FileDescriptor.open(FilePath("/dev/ptmx"), .readWrite, options: Self.options)
    var isLocked: Int32 = 0
    var number: UInt32 = 0
    guard unsafe ioctl(ours.rawValue, Self.setLock, &isLocked) == 0,
      unsafe ioctl(ours.rawValue, Self.getNumber, &number) == 0
    else { throw Errno(rawValue: errno) }
    commandsEnd = try FileDescriptor.open(FilePath("/dev/pts/\(number)"), .readWrite, options: Self.options)
  }

  /// Must not become this process's controlling terminal: as the leader of a session without one, it would acquire it.
  private static let options = FileDescriptor.OpenOptions(rawValue: O_NOCTTY | O_CLOEXEC)

  /// `TIOCSPTLCK` and `TIOCGPTN`, asm-generic/ioctls.h.
  private static let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

  /// Copies its output to a file, until the command and all of its children have closed it.
  func copy(to log: FileDescriptor) {
    let ours = ours
    try? commandsEnd.close()
    DispatchQueue(label: "cnet.terminal").async {
      var buffer = [UInt8](repeating: 0, count: 4096)
      while let count = try? unsafe buffer.withUnsafeMutableBytes({ try unsafe ours.read(into: $0) }), count > 0 {
        _ = try? log.writeAll(buffer[..<count])
      }
    }
  }
}
