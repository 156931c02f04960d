import BenchmarkKit
import ContainerNetworking
import Dispatch
import FoundationEssentials
import Glibc
import Synchronization
import SystemPackage

/// Runs the sections, each in a process and a namespace of its own, and takes away what they leave, also after ^C: namespaces
/// and programs end with the section's process, files are in the run's directory.
@MainActor final class Supervisor {
  let directory: FilePath
  private let child = Mutex<Int32>(0)
  private let interruption = Mutex<Int32>(0)
  private var traps: [any DispatchSourceSignal] = []

  /// The signal that ended the run early; 0 for none.
  var signal: Int32 { interruption.withLock { $0 } }

  init() throws {
    directory = try Folder.make()
    for number in [SIGINT, SIGTERM, SIGHUP] {
      Glibc.signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      // On a queue of its own: the main one waits for a section.
      source.setEventHandler { @Sendable [weak self] in self?.interrupt(number) }
      source.resume()
      traps.append(source)
    }
  }

  private nonisolated func interrupt(_ number: Int32) {
    interruption.withLock { $0 = number }
    child.withLock { id in if id > 0 { _ = kill(id, SIGKILL) } }
  }

  /// Runs a section to its end.
  ///
  /// - Returns: Why it did not come to it, if it did not.
  func run(_ section: Section, _ results: inout Results) throws -> String? {
    let place = directory.appending(section.rawValue)
    try Folder.makeDirectory(place)
    var command = Command(
      "/proc/self/exe",
      ["--section", section.rawValue, "--directory", place.string, "--run", directory.lastComponent?.string ?? ""]
        + CommandLine.arguments.dropFirst())
    command.endsWithParent = true
    let process = try NetworkNamespace.create().spawn(command)
    child.withLock { $0 = process.id }
    // It may have been interrupted before there was anything to end.
    if signal != 0 { try? process.signal(SIGKILL) }
    let status = try process.wait()
    child.withLock { $0 = 0 }
    results.measurements += Notebook.read(Self.notes(place))
    guard status != .exited(0) else { return nil }
    let reason = try? String(contentsOfFile: Self.failure(place).string, encoding: .utf8)
    return "Not measured to the end: \(section.title): \(reason ?? "\(status)")"
  }

  /// What a section's process does.
  static func measure(_ section: Section, _ settings: Settings) async -> Int32 {
    do {
      try await section.measure(settings, Notebook(notes(settings.directory)))
      return 0
    } catch {
      say("  failed: \(error)")
      try? "\(error)".write(toFile: failure(settings.directory).string, atomically: true, encoding: .utf8)
      return 1
    }
  }

  private static func notes(_ place: FilePath) -> FilePath { place.appending("notes.json") }
  private static func failure(_ place: FilePath) -> FilePath { place.appending("failure") }

  func finish() { Folder.remove(directory) }
}
