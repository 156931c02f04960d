public import Dispatch
import FoundationEssentials
import Glibc
public import SystemPackage

/// The directory of a run, named by its process.
public enum Folder {
  private static let prefix = "cn-benchmark-"
  private static let place = "/tmp"

  /// Creates this process's directory. Directories of killed runs are removed on the occasion.
  public static func make() throws -> FilePath {
    let manager = FileManager.default
    for name in try manager.contentsOfDirectory(atPath: place) where name.hasPrefix(prefix) {
      guard let id = Int32(name.dropFirst(prefix.count)), kill(id, 0) != 0, errno == ESRCH else { continue }
      remove(FilePath("\(place)/\(name)"))
    }
    let path = "\(place)/\(prefix)\(getpid())"
    try manager.createDirectory(atPath: path, withIntermediateDirectories: false)
    return FilePath(path)
  }

  /// Makes a directory, with those that it is in.
  public static func makeDirectory(_ path: FilePath) throws {
    try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
  }

  /// Has a signal that ends the process remove it first.
  ///
  /// - Returns: What listens, to be kept.
  public static func removeAtSignals(_ path: FilePath) -> [any DispatchSourceSignal] {
    [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      // On a queue of its own: the main one is at work.
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { @Sendable in
        remove(path)
        _exit(128 + number)
      }
      source.resume()
      return source
    }
  }

  /// Removes it, and the control groups of its name. Killed processes write until they have ended, so it retries for
  /// some seconds.
  public static func remove(_ path: FilePath) {
    for _ in 0..<50 {
      try? FileManager.default.removeItem(atPath: path.string)
      let isClean = removeGroups(path.lastComponent?.string ?? "") && !exists(path)
      if isClean { return }
      usleep(100_000)
    }
  }

  /// Removes a file, if it is there.
  public static func removeFile(_ path: FilePath) { _ = unsafe unlink(path.string) }

  /// Whether there is a file or directory.
  public static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

  private static let groups = "/sys/fs/cgroup"

  /// Control groups of that name in every hierarchy (cgroups(7)): rmdir removes those without processes.
  private static func removeGroups(_ name: String) -> Bool {
    let manager = FileManager.default
    let hierarchies = [""] + ((try? manager.contentsOfDirectory(atPath: groups)) ?? [])
    return hierarchies.allSatisfy { hierarchy in removeGroup("\(groups)/\(hierarchy)/\(name)") }
  }

  private static func removeGroup(_ path: String) -> Bool {
    let manager = FileManager.default
    var isDirectory = false
    guard manager.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory else { return true }
    for child in (try? manager.contentsOfDirectory(atPath: path)) ?? [] { _ = removeGroup("\(path)/\(child)") }
    return unsafe rmdir(path) == 0 || errno == ENOTDIR
  }
}
