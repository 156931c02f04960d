import Glibc
import SystemPackage

/// The machine's processes (proc(5)), as far as this process may inspect them; ended ones are skipped.
enum Processes {
  /// Their ids.
  static func all() -> [String] { names(in: "/proc").filter { $0.utf8.allSatisfy { $0 &- 0x30 < 10 } } }

  /// The links of a process's open files (proc_pid_fd(5)).
  static func descriptors(of process: String) -> [String] {
    let directory = "/proc/\(process)/fd"
    return names(in: FilePath(directory)).map { "\(directory)/\($0)" }
  }

  /// The target of a link.
  static func target(of link: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe readlink(link, $0.baseAddress.unsafelyUnwrapped, $0.count)
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }

  private static func names(in directory: FilePath) -> [String] { (try? directoryNames(directory)) ?? [] }
}
