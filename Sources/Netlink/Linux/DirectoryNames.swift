import Glibc
package import SystemPackage

/// The names in a directory, unordered, without `.` and `..`.
///
/// - Throws: The error of opendir(3).
package func directoryNames(_ directory: FilePath) throws(Errno) -> [String] {
  guard let stream = unsafe opendir(directory.string) else { throw Errno(rawValue: errno) }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    // Copied before the next is read.
    let capacity = Int(unsafe entry.pointee.d_reclen)
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
      unsafe name.withMemoryRebound(to: CChar.self, capacity: capacity) { unsafe String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}
