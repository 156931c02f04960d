import Foundation
import SystemPackage

/// Directories of a run.
enum TemporaryDirectory {
  static func make(_ name: String) throws -> FilePath {
    let path = FilePath("/tmp/\(name)-\(ProcessInfo.processInfo.processIdentifier)")
    try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
    return path
  }

  static func remove(_ path: FilePath) { try? FileManager.default.removeItem(atPath: path.string) }

  static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }
}
