import Foundation
import SystemPackage
import Testing

/// The database as the sqlite3 shell sees it: a second opinion, and a means to spoil it.
struct Database {
  let file: FilePath

  init(_ file: FilePath) { self.file = file }

  @discardableResult
  func run(_ sql: String) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
    process.arguments = ["-bail", "-init", "/dev/null", file.string, sql]
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(text)")
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  func number(_ sql: String) throws -> Int { try #require(Int(try run(sql))) }
}

/// Bytes of a file, for inspection and damage.
enum Bytes {
  static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

  static func read(_ path: FilePath) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path.string)))
  }

  static func write(_ bytes: [UInt8], to path: FilePath) throws {
    let file = try FileDescriptor.open(path, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
    try file.closeAfter { _ = try file.writeAll(bytes) }
  }
}
