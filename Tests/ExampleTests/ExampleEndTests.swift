import ContainerNetworking
import Foundation
import Glibc
import Playground
import TestSupport
import Testing

/// Examples in a playground of their own: however they end, nothing of them is left.
@Suite(.timeLimit(.minutes(10))) struct ExampleEndTests {
  let world: Playground

  init() throws { world = try .still() }

  @Test(arguments: Example.all) func nothingIsLeftHoweverItEnds(example: String) throws {
    let before = try world.state()
    let known = try world.host.knownNamespaces()
    let clock = ContinuousClock()
    let start = clock.now
    let whole = try ExampleRun(example, on: world.host)
    let end = try whole.end()
    #expect(end.status == .exited(0), "\(end.output)")
    try expectNothing(of: whole, known: known)

    // Killed at fractions of a whole run's time, so that a slow machine is hit at the same moments.
    let milliseconds = Double((clock.now - start) / .milliseconds(1))
    var watched = 0
    for signal in [SIGINT, SIGKILL] {
      for part in [0, 0.25, 0.5, 0.75] {
        let run = try ExampleRun(example, on: world.host)
        usleep(UInt32(milliseconds * part * 1000))
        watched += try run.strike(with: signal)
        let end = try run.end()
        // It may have been done before the signal came.
        #expect([.signaled(signal), .exited(0)].contains(end.status), "\(end.output)")
        try expectNothing(of: run, known: known)
      }
    }
    // And, where none of these was one at which it held a namespace, as soon as it does.
    for _ in 0..<10 where watched == 0 {
      let run = try ExampleRun(example, on: world.host)
      _ = waitUntil { run.holdsNamespace || !run.isRunning }
      watched += try run.strike(with: SIGKILL)
      _ = try run.end()
      try expectNothing(of: run, known: known)
    }
    #expect(watched > 0, "no moment was one at which the example held a namespace")
    let changes = try world.changes(since: before)
    #expect(changes == [])
  }

  @Test(arguments: Example.all) func aFailureIsSaidAndIsTheExitCode(example: String) throws {
    let known = try world.host.knownNamespaces()
    let run = try ExampleRun(example, on: world.host, environment: ["PATH": "/does/not/exist"])
    let end = try run.end()
    #expect(end.status == .exited(1))
    #expect(end.output.contains("failed: start busybox"), "\(end.output)")
    try expectNothing(of: run, known: known)
  }

  /// The kernel takes namespaces away in its own time.
  private func expectNothing(of run: ExampleRun, known: Int) throws {
    let survivors = try run.survivors()
    #expect(survivors == [])
    let isGone = try waitUntil { try world.host.knownNamespaces() <= known }
    #expect(isGone, "a namespace of the example is still held")
  }
}
