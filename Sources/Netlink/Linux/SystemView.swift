import Glibc
import NetworkPrimitives
import SystemPackage

/// A program's view of the machine beyond its own files.
enum SystemView {
  /// The mounts on /sys, as paths below it, without mounts on top of those (proc_pid_mountinfo(5)).
  static func sysfsMounts() -> [String] {
    let paths = lines("/proc/self/mountinfo").compactMap { line -> Substring? in
      let fields = line.split(separator: " ")
      guard fields.count > 4, fields[4].hasPrefix("/sys/") else { return nil }
      return fields[4].dropFirst("/sys/".count)
    }
    var outermost: [Substring] = []
    for path in Set(paths).sorted() where !outermost.contains(where: { path.hasPrefix($0 + "/") }) {
      outermost.append(path)
    }
    return outermost.map(String.init)
  }

  /// The working directory of this process; the root if it was deleted.
  static func currentDirectory() -> FilePath {
    guard let text = unsafe getcwd(nil, 0) else { return "/" }
    defer { unsafe free(text) }
    return FilePath(unsafe String(cString: text))
  }

  private static func lines(_ path: FilePath) -> [Substring] {
    guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return [] }
    defer { try? file.close() }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while let count = try? unsafe buffer.withUnsafeMutableBytes({ try unsafe file.read(into: $0) }), count > 0 {
      text += buffer[..<count]
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
  }
}

/// The mount and UTS namespaces of a process, held open; none if `process` is nil.
final class CompanionNamespaces {
  let mount: Int32
  let uts: Int32

  /// - Throws: `.notFound` for an ended process; `.permissionDenied` for another user's.
  init(_ process: Int32?, _ operation: String) throws(NetworkError) {
    var descriptors: [Int32] = []
    for name in process == nil ? [] : ["mnt", "uts"] {
      let path = FilePath("/proc/\(process ?? 0)/ns/\(name)")
      do { descriptors.append(try FileDescriptor.open(path, .readOnly, options: .closeOnExec).rawValue) } catch {
        for descriptor in descriptors { close(descriptor) }
        let errno = error as? Errno ?? .ioError
        throw NetworkError(
          NetworkError.Code(errno), operation: operation,
          reason: "the process \(process ?? 0), whose files it is to see, is gone or another user's",
          kernel: KernelReport(errno: errno, request: "open"))
      }
    }
    (mount, uts) = descriptors.count == 2 ? (descriptors[0], descriptors[1]) : (-1, -1)
  }

  deinit { for descriptor in [mount, uts] where descriptor >= 0 { close(descriptor) } }
}
