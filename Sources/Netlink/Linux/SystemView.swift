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

  /// The places at which a namespace, as in `net:[4026531840]`, is mounted in a process's mount namespace.
  static func mounts(of namespace: String, seenBy process: String) -> [String] {
    lines(FilePath("/proc/\(process)/mountinfo")).compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count > 4 && fields[3] == namespace ? plain(fields[4]) : nil
    }
  }

  /// The path of a field, in which the kernel writes blanks and backslashes as three octal digits (`mangle`, fs/seq_file.c).
  private static func plain(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3,
        let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest.removeFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
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
