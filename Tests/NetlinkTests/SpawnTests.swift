import Foundation
import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage
import TestSupport
import Testing

/// Programs in a namespace, on the real kernel: their inheritance from this process, and their end.
@Suite(.timeLimit(.minutes(10))) struct SpawnTests {
  let kernel = LinuxKernel()
  let namespace: NamespaceHandle

  init() throws { namespace = try LinuxKernel().makeNamespace() }

  /// A program's standard output and error; it must return 0.
  private func run(_ command: Command, input: String = "") throws -> (output: String, error: String) {
    let pipes = try (0..<3).map { _ in try FileDescriptor.pipe() }
    defer { for pipe in pipes { try? pipe.readEnd.close() } }
    var command = command
    command.input = pipes[0].readEnd
    command.output = pipes[1].writeEnd
    command.error = pipes[2].writeEnd
    let child = Result { try kernel.spawn(command, in: namespace) }
    try pipes[0].writeEnd.writeAll(input.utf8)
    for pipe in pipes { try pipe.writeEnd.close() }
    let texts = try pipes.dropFirst().map { pipe in
      String(
        decoding: try FileHandle(fileDescriptor: pipe.readEnd.rawValue, closeOnDealloc: false).readToEnd() ?? Data(),
        as: UTF8.self)
    }
    #expect(try child.get().wait(timeout: Patience.limit) == .exited(0))
    return (texts[0], texts[1])
  }

  /// A program that sleeps, for inspection while it runs.
  private func withSleeper(_ command: Command = Command("sleep", ["60"]), _ look: (Int32) throws -> Void) throws {
    let sleeper = try kernel.spawn(command, in: namespace)
    defer {
      try? sleeper.signal(SIGKILL)
      _ = try? sleeper.wait(timeout: Patience.limit)
    }
    try look(sleeper.id)
  }

  private func status(_ id: Int32, _ field: String) throws -> String? {
    try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8).split(separator: "\n")
      .first { $0.hasPrefix("\(field):") }.map { $0.dropFirst(field.count + 1).trimmingCharacters(in: .whitespaces) }
  }

  @Test func argumentsArriveAsTheyAre() throws {
    let odd = ["", "two words", "$HOME *", "é\n", "-n", String(repeating: "x", count: 100_000)]
    #expect(try run(Command("printf", ["<%s>"] + odd)).output == odd.map { "<\($0)>" }.joined())
    let many = (0..<20_000).map(String.init)
    #expect(try run(Command("printf", ["%s"] + many)).output == many.joined())
  }

  @Test func environmentIsOursOrTheOneThatIsGiven() throws {
    #expect(try run(Command("/usr/bin/env", environment: ["A=1", "B=two words"])).output == "A=1\nB=two words\n")
    #expect(try run(Command("/usr/bin/env", environment: [])).output == "")
    let path = try #require(ProcessInfo.processInfo.environment["PATH"])
    #expect(try run(Command("sh", ["-c", "printf %s \"$PATH\""])).output == path)
  }

  @Test func streamsAreInPlace() throws {
    let result = try run(Command("sh", ["-c", "cat; echo to error >&2"]), input: "from input")
    #expect(result == ("from input", "to error\n"))
    let swapped = try run(Command(helper, ["swapped"]))
    #expect(swapped == ("to error\n", "to output\n"))
    var command = Command("true")
    command.output = FileDescriptor(rawValue: -1)
    let error = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(error?.kernel?.errno == .badFileDescriptor)
    #expect(error?.kernel?.request == "dup2")
  }

  @Test func noOtherDescriptorIsInherited() throws {
    // One without close-on-exec, as a careless library opens it.
    let careless = unsafe Glibc.open("/dev/null", O_RDONLY)
    defer { close(careless) }
    #expect(fcntl(careless, F_GETFD) == 0)
    // Seen by the program itself: the kernel resumes this process before close-on-exec takes effect.
    #expect(try run(Command("sh", ["-c", "ls /proc/$$/fd; true"])).output == "0\n1\n2\n")
  }

  @Test func signalsAreAsInANewSession() throws {
    let before = signal(SIGUSR2, SIG_IGN)
    defer { signal(SIGUSR2, before) }
    try withSleeper { id in
      for field in ["SigBlk", "SigIgn", "SigCgt"] {
        let set = try status(id, field)
        #expect(set == "0000000000000000", "\(field)")
      }
    }
  }

  @Test func aMissingProgramOrDirectoryIsNotFound() throws {
    for name in ["/does/not/exist", "no-such-program"] {
      let error = #expect(throws: NetworkError.self) { try kernel.spawn(Command(name), in: namespace) }
      #expect(error?.code == .notFound)
      #expect(error?.kernel?.request == "execve")
    }
    var command = Command("true")
    command.directory = "/does/not/exist"
    let error = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(error?.code == .notFound)
    #expect(error?.kernel?.request == "chdir")
    #expect(error?.operation == "start true in directory /does/not/exist")
    #expect(error?.reason == "there is no directory /does/not/exist; make it, or name another")
    // A missing file is named, whichever call did not find it.
    var bound = Command("true")
    bound.bindings = [FileBinding("/does/not/exist", at: "/etc/hosts")]
    let lost = #expect(throws: NetworkError.self) { try kernel.spawn(bound, in: namespace) }
    #expect(lost?.kernel?.request == "mount")
    #expect(lost?.reason == "there is no file /does/not/exist to be seen at /etc/hosts; make it again")
    #expect(throws: NetworkError.self) { try kernel.spawn(Command("/etc/passwd"), in: namespace) }
    let text = #expect(throws: NetworkError.self) { try kernel.spawn(Command("true", ["a\0b"]), in: namespace) }
    #expect(text?.code == .invalidValue)
    // A failure leaves no child to wait for.
    #expect(try run(Command(helper, ["missing"])).output == "no children\n")
  }

  /// A sysfs of the namespace, with the other mounts of the machine's.
  @Test func linksOfItsOwnNamespaceAreSeen() throws {
    let path = "/tmp/cn-spawn-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try "mine".write(toFile: path, atomically: false, encoding: .utf8)
    defer { unsafe unlink(path) }
    var command = Command("sh", ["-c", "cat /etc/hostname; ls /sys/class/net"])
    command.bindings = [FileBinding(FilePath(path), at: "/etc/hostname")]
    command.seesOwnSysfs = true
    #expect(try run(command).output == "minelo\n")
    // Its other mounts stay.
    command.arguments = ["-c", "ls /sys/fs/cgroup"]
    let plain = try run(Command("ls", ["/sys/fs/cgroup"])).output
    #expect(try run(command).output == plain)
  }

  /// A file that cannot be bound is named, and not mistaken for the program.
  @Test func aMissingFileToBindIsNamed() throws {
    var command = Command("true")
    command.bindings = [FileBinding("/does/not/exist", at: "/etc/hostname")]
    let error = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(error?.code == .notFound && error?.kernel?.request == "mount")
    #expect(error?.reason.contains("/does/not/exist") == true, "\(error as Any)")
  }

  @Test func aCompanionsViewIsShared() throws {
    var first = Command("sh", ["-c", "mount -t tmpfs tmpfs /mnt && touch /mnt/seen && exec sleep 60"])
    first.bindings = [FileBinding("/dev/null", at: "/etc/hostname")]
    first.hostname = "front"
    try withSleeper(first) { id in
      var second = Command("sh", ["-c", "until [ -e /mnt/seen ]; do sleep 0.05; done; hostname; pwd"])
      second.companion = id
      second.directory = "/mnt"
      let output = try run(second).output
      #expect(output == "front\n/mnt\n")
    }
    var late = Command("true")
    late.companion = 0x7fff_fffe
    let error = #expect(throws: NetworkError.self) { try kernel.spawn(late, in: namespace) }
    #expect(error?.code == .notFound)
  }

  @Test func aScriptWithoutInterpreterLineIsForTheShell() throws {
    let path = "/tmp/cn-spawn-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try "echo script \"$1\"".write(toFile: path, atomically: false, encoding: .utf8)
    defer { unsafe unlink(path) }
    unsafe chmod(path, 0o700)
    // A program that another test starts at this moment has the file open for writing until it has begun (ETXTBSY).
    let output = try waitForValue { () throws -> String? in
      do { return try run(Command(path, ["argument"])).output } catch {
        guard (error as? NetworkError)?.kernel?.errno == .textFileBusy else { throw error }
        return nil
      }
    }
    #expect(output == "script argument\n")
  }

  @Test func workingDirectoryIsOursOrTheOneThatIsGiven() throws {
    var command = Command("pwd")
    #expect(try run(command).output == FileManager.default.currentDirectoryPath + "\n")
    command.directory = "/usr"
    #expect(try run(command).output == "/usr\n")
  }

  /// Nothing of it is seen outside: not by this process, not by a program without bindings.
  @Test func filesAndNamesOfItsOwnAreItsAlone() throws {
    let path = "/tmp/cn-binding-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try "10.1.1.1 bound\n".write(toFile: path, atomically: false, encoding: .utf8)
    defer { unsafe unlink(path) }
    let show = ["-c", "cat /etc/hosts; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"]
    let before = try run(Command("sh", show)).output
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    var command = Command("sh", show)
    command.bindings = [FileBinding(FilePath(path), at: "/etc/hosts"), FileBinding(FilePath(path), at: "/etc/no/such")]
    command.hostname = "front"
    command.domainname = "example.org"
    #expect(try run(command).output == "10.1.1.1 bound\nfront\nexample.org\n")
    #expect(try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8) == mounts)
    #expect(try run(Command("sh", show)).output == before)

    // A file rewritten in place is seen while it runs; its writes arrive.
    command.executable = "sh"
    command.arguments = ["-c", "echo 10.1.1.2 mine >> /etc/hosts; mount | grep -c ' /etc/hosts '"]
    #expect(try run(command).output == "1\n")
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "10.1.1.1 bound\n10.1.1.2 mine\n")
    command.bindings = [FileBinding("/does/not/exist", at: "/etc/hosts")]
    let missing = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(missing?.code == .notFound && missing?.kernel?.request == "mount")
    command.bindings = []
    command.hostname = String(repeating: "a", count: 65)
    let name = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(name?.kernel?.request == "sethostname")
  }

  @Test func groupAndSessionAreOursOrItsOwn() throws {
    for grouping in [Command.Grouping.inherited, .ownGroup, .ownSession] {
      var command = Command("sleep", ["60"])
      command.grouping = grouping
      try withSleeper(command) { id in
        #expect(getpgid(id) == (grouping == .inherited ? getpgrp() : id))
        #expect(getsid(id) == (grouping == .ownSession ? id : getsid(0)))
      }
    }
  }

  @Test(arguments: [true, false]) func aTiedProgramEndsWithItsParent(isTied: Bool) throws {
    let pipe = try FileDescriptor.pipe()
    defer { try? pipe.readEnd.close() }
    var command = Command(helper, ["parent", isTied ? "tied" : "free"])
    command.output = pipe.writeEnd
    let parent = try kernel.spawn(command, in: namespace)
    try pipe.writeEnd.close()
    let line = FileHandle(fileDescriptor: pipe.readEnd.rawValue, closeOnDealloc: false).availableData
    let id = try #require(Int32(String(decoding: line, as: UTF8.self).dropLast()))
    #expect(isRunning(id))

    try parent.signal(SIGKILL)
    #expect(try parent.wait(timeout: Patience.limit) == .signaled(SIGKILL))
    if isTied {
      #expect(waitUntil { !isRunning(id) })
    } else {
      // Its parent is gone, which would have ended it.
      #expect(isRunning(id))
    }
    if isRunning(id) { kill(id, SIGKILL) }
  }

  /// Running, and neither gone nor waiting for its reaper.
  private func isRunning(_ id: Int32) -> Bool {
    guard let state = try? status(id, "State") else { return false }
    return !state.hasPrefix("Z")
  }

  /// Built beside the test bundle.
  private let helper = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "spawn-helper").path
}
