import ContainerNetworking
import Foundation
import SystemPackage
import TestSupport
import Testing

/// Runs a suite of this test program once more, under another program: with other mounts, or without privilege.
enum Subprocess {
  /// The suite for this process; nil in the one that `swift test` started.
  static var inside: String? { ProcessInfo.processInfo.environment["CN_TEST_INSIDE"] }

  /// Runs the tests of a suite in a network namespace of their own.
  ///
  /// - Parameters:
  ///   - suite: The suite's name, which runs only there.
  ///   - launcher: The program to start it by, and its arguments, before those of the test program.
  static func run(_ suite: String, by launcher: [String]) throws {
    let namespace = try NetworkNamespace.create()
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let log = FileManager.default.temporaryDirectory.appending(path: "cn-\(suite)-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: log) }
    let output = try FileDescriptor.open(FilePath(log.path), .writeOnly, options: .create, permissions: .ownerReadWrite)
    defer { try? output.close() }
    let arguments = launcher.dropFirst() + [program, "--testing-library", "swift-testing", "--filter", "\(suite)/"]
    let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
    var command = Command(launcher[0], Array(arguments), environment: environment + ["CN_TEST_INSIDE=\(suite)"])
    command.output = output
    command.error = output
    let child = try namespace.spawn(command)
    let status = try child.wait(timeout: Patience.limit)
    let said = try String(contentsOf: log, encoding: .utf8)
    #expect(status == .exited(0), "\(said)")
    #expect(said.contains("Test run with 1 test") && said.contains("passed"), "\(said)")
  }

  /// The output of a program, run in this process's namespaces; nil when it fails.
  static func output(_ program: String, _ arguments: String...) throws -> String? {
    let log = FileManager.default.temporaryDirectory.appending(path: "cn-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: log) }
    let output = try FileDescriptor.open(FilePath(log.path), .writeOnly, options: .create, permissions: .ownerReadWrite)
    defer { try? output.close() }
    var command = Command(program, arguments)
    command.output = output
    command.error = output
    let child = try NetworkNamespace.current().spawn(command)
    guard try child.wait(timeout: Patience.limit) == .exited(0) else { return nil }
    return try String(contentsOf: log, encoding: .utf8)
  }
}
