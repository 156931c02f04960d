import Glibc
public import NetworkPrimitives
import SystemPackage

/// Finds threads that have stayed in a network namespace other than the rest of the process's.
///
/// Every later socket of code that runs on such a thread would be in the wrong namespace. Call ``threadsOutside()`` at
/// the end of a test that uses the real kernel.
public enum LeakDetector {
  /// The ids of threads in another namespace than the main thread's. The library's own helper thread is in one only
  /// during a call, so a thread counts when twenty checks, five milliseconds apart, find it in the same one.
  ///
  /// - Throws: `.kernelRefused` or `.notFound` when `/proc` cannot be read.
  public static func threadsOutside() throws(NetworkError) -> [Int32] {
    var staying = try lookOutside()
    for _ in 1..<20 where !staying.isEmpty {
      usleep(5000)
      let now = try lookOutside()
      staying = staying.filter { now[$0.key] == $0.value }
    }
    return staying.keys.sorted()
  }

  /// The threads that are elsewhere now, with their namespaces.
  private static func lookOutside() throws(NetworkError) -> [Int32: UInt] {
    let home = try namespace(of: "/proc/self/ns/net")
    guard let directory = unsafe opendir("/proc/self/task") else {
      throw systemError(Errno(rawValue: errno), "opendir", "list threads")
    }
    defer { unsafe closedir(directory) }
    var outside: [Int32: UInt] = [:]
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      // A thread may end between the listing and the check.
      guard let id = Int32(name), let place = try? namespace(of: "/proc/self/task/\(id)/ns/net") else { continue }
      if place != home { outside[id] = place }
    }
    return outside
  }

  private static func namespace(of path: String) throws(NetworkError) -> UInt {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw systemError(Errno(rawValue: errno), "stat", "read \(path)") }
    return UInt(status.st_ino)
  }
}
