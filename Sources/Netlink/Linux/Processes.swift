import Glibc
import SystemPackage

/// What this process may see of the machine's processes (proc(5)): none of what it may not look at, or is gone.
enum Processes {
  /// Their ids.
  static func all() -> [String] { names(in: "/proc").filter { $0.utf8.allSatisfy { $0 &- 0x30 < 10 } } }

  /// The links that say what a process has open (proc_pid_fd(5)).
  static func descriptors(of process: String) -> [String] {
    let directory = "/proc/\(process)/fd"
    return names(in: FilePath(directory)).map { "\(directory)/\($0)" }
  }

  /// What a link says.
  static func target(of link: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe readlink(link, $0.baseAddress.unsafelyUnwrapped, $0.count)
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }

  private static func names(in directory: FilePath) -> [String] { (try? directoryNames(directory)) ?? [] }
}
