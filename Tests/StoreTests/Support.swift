import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import NetworkPrimitives
import SystemPackage
import Testing

/// A directory that is gone with the test.
final class TemporaryDirectory: Sendable {
  let path: FilePath

  init() throws {
    let name = "store-tests-\(getpid())-\(UUID().uuidString)"
    path = FilePath(FileManager.default.temporaryDirectory.appendingPathComponent(name).path)
    try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  /// Where a store may be made.
  var store: FilePath { path.appending("state") }
  /// Its database.
  var database: FilePath { store.appending("state.db") }

  func names(_ below: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: store.appending(below).string).sorted()
  }
}

/// A process that uses a store: Tests/StoreProbe.
final class Probe {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var buffer: [UInt8] = []

  static var path: String {
    get throws {
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let path = (own as NSString).deletingLastPathComponent + "/store-probe"
      try #require(FileManager.default.isExecutableFile(atPath: path), "store-probe is built beside the tests")
      return path
    }
  }

  init(_ arguments: String...) throws {
    process.executableURL = URL(fileURLWithPath: try Self.path)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  /// Lets it go on from where it waits for its input.
  func release() throws { try input.fileHandleForWriting.close() }

  /// The next line; nil at the end.
  func line() -> String? {
    while true {
      if let end = buffer.firstIndex(of: 10) {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer.removeSubrange(...end)
        return line
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      buffer += more
    }
  }

  /// The remaining output, and the exit.
  func finish() -> (lines: [String], status: Int32) {
    var lines: [String] = []
    while let line = line() { lines.append(line) }
    process.waitUntilExit()
    return (lines, process.terminationStatus)
  }

  /// Ends it by SIGKILL, and waits until it is gone.
  @discardableResult
  func kill() -> [String] {
    Foundation.kill(process.processIdentifier, SIGKILL)
    return finish().lines
  }
}

/// Runs a shell script with a mount namespace of its own.
func runIsolated(_ script: String) throws -> (output: String, status: Int32) {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
  process.arguments = ["-m", "sh", "-c", script]
  process.standardOutput = output
  process.standardError = output
  try process.run()
  let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (text, process.terminationStatus)
}

extension Store {
  /// Writes changes, whatever the current state.
  @discardableResult
  func write(_ changes: StoreChange..., durability: StoreDurability = .process) throws(NetworkError) -> UInt64 {
    try update(since: 0, durability) { _ in ((), changes) }.1
  }

  /// All records.
  func records() throws(NetworkError) -> Set<StoreRecord> {
    Set(try read(since: 0).changes.compactMap { if case .save(let record) = $0 { record } else { nil } })
  }
}

/// The error that `body` throws.
func refusal(_ body: () throws(NetworkError) -> Void) -> NetworkError? {
  do throws(NetworkError) {
    try body()
    return nil
  } catch { return error }
}

/// A file's permissions.
func mode(_ path: FilePath) throws -> Int {
  let attributes = try FileManager.default.attributesOfItem(atPath: path.string)
  return try #require(attributes[.posixPermissions] as? Int)
}
