import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Glibc
import SystemPackage
import Testing

/// Programs that run until a signal ends them: the same on every kernel.
@Suite struct ProcessContract {
  /// A program that sleeps for longer than any test.
  private func sleeper(_ kernel: any Kernel) throws -> ChildProcess {
    var command = Command("sleep", ["1000"])
    command.endsWithParent = true
    return try kernel.spawn(command, in: try kernel.makeNamespace())
  }

  @Test(arguments: KernelUnderTest.available) func signalEndsIt(_ which: KernelUnderTest) async throws {
    let kernel = which.make()
    let process = try sleeper(kernel)
    try process.signal(0)
    try process.signal(SIGCONT)
    try process.signal(SIGTERM)
    #expect(try process.wait(timeout: .seconds(60)) == .signaled(SIGTERM))

    // After the wait it no longer exists.
    let again = await refusal { try process.wait() }
    #expect(again?.kernel?.errno == .noChildProcess)
    let limited = await refusal { try process.wait(timeout: .seconds(1)) }
    #expect(limited?.kernel?.errno == .noChildProcess)
    let aside = await refusal { try await process.ended() }
    #expect(aside?.kernel?.errno == .noChildProcess)
    let signal = await refusal { try process.signal(SIGTERM) }
    #expect(signal?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func waitEndsAtItsLimit(_ which: KernelUnderTest) async throws {
    let process = try sleeper(which.make())
    let blocking = await refusal { try process.wait(timeout: .milliseconds(1)) }
    #expect(blocking?.code == .replyLost)
    let aside = await refusal { try await process.ended(within: .milliseconds(1)) }
    #expect(aside?.code == .replyLost)
    try process.signal(SIGKILL)
    #expect(try await process.ended(within: .seconds(60)) == .signaled(SIGKILL))
  }

  @Test(arguments: KernelUnderTest.available) func cancelledWaitLeavesItRunning(_ which: KernelUnderTest) async throws {
    let process = try sleeper(which.make())
    let waiting = Task { try await process.ended() }
    waiting.cancel()
    let error = await refusal { try await waiting.value }
    #expect(error?.code == .closed)
    try process.signal(0)
    try process.signal(SIGKILL)
    #expect(try await process.ended() == .signaled(SIGKILL))
  }

  /// Hundreds wait, and no thread for each.
  @Test(arguments: KernelUnderTest.available) func manyAreWaitedFor(_ which: KernelUnderTest) async throws {
    let kernel = which.make()
    let processes = try (0..<100).map { _ in try sleeper(kernel) }
    let threads = { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
    let before = try threads()
    try await withThrowingTaskGroup(of: ProcessExit.self) { group in
      for process in processes { group.addTask { try await process.ended() } }
      try await Task.sleep(for: .milliseconds(200))
      // Other tests start some of their own meanwhile.
      #expect(try threads() < before + 70)
      for process in processes { try process.signal(SIGKILL) }
      for try await exit in group { #expect(exit == .signaled(SIGKILL)) }
    }
  }

  @Test(arguments: KernelUnderTest.available) func whatIsNoSignalOrProcessIsRefused(_ which: KernelUnderTest)
    async throws
  {
    let kernel = which.make()
    let process = try sleeper(kernel)
    let number = await refusal { try process.signal(1_000) }
    #expect(number?.kernel?.errno == .invalidArgument)
    // Of a process group, of all processes.
    for id: Int32 in [0, -1, -4711] {
      let group = await refusal { try ChildProcess(id: id, on: kernel).signal(SIGKILL) }
      #expect(group?.code == .invalidValue)
    }
    let nobody = await refusal { try ChildProcess(id: .max, on: kernel).signal(SIGKILL) }
    #expect(nobody?.code == .notFound)
    let text = await refusal { try kernel.spawn(Command("a\0b"), in: try kernel.makeNamespace()) }
    #expect(text?.code == .invalidValue)
    try process.signal(SIGKILL)
    #expect(try process.wait() == .signaled(SIGKILL))
  }

  @Test(.enabled(if: KernelUnderTest.available.contains(.linux))) func programReturnsItsCode() async throws {
    let kernel = LinuxKernel()
    let process = try kernel.spawn(Command("sh", ["-c", "exit 7"]), in: try kernel.makeNamespace())
    #expect(try await process.ended(within: .seconds(60)) == .exited(7))
  }

  /// A process of the simulated kernel does not exist on this machine: its own kernel is asked, and ends it on demand.
  @Test func simulatedProcessEndsAsItIsTold() async throws {
    let kernel = SimulatedKernel()
    let namespace = try NetworkNamespace.create(on: kernel)
    let process = try namespace.spawn(Command("anything"))
    #expect(kill(process.id, 0) == -1 && errno == ESRCH)
    #expect(try NetworkNamespace.open(process: process.id, on: kernel).identity == namespace.identity)
    async let exit = process.ended()
    kernel.endProcess(process, with: .exited(3))
    kernel.endProcess(process, with: .exited(4))
    #expect(try await exit == .exited(3))
    #expect(throws: NetworkError.self) { try NetworkNamespace.open(process: process.id, on: kernel) }

    // Nor does one of another kernel have it waited for by this machine's.
    struct Fake: ForwardingKernel {
      let base: any Kernel
      func spawn(_ command: Command, in namespace: NamespaceHandle) -> ChildProcess { ChildProcess(id: 1, on: base) }
    }
    let fake = try NetworkNamespace(kernel.makeNamespace(), of: Fake(base: kernel)).spawn(Command("anything"))
    let signal = await refusal { try fake.signal(SIGKILL) }
    #expect(signal?.code == .notFound)
  }
}
