import CContainerNetworking
import Glibc
public import NetworkPrimitives
public import SystemPackage

extension LinuxKernel {
  /// The files of a directory that hold a namespace (of `nsfs`), by name. An unfinished pin's empty file is left out.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    guard let entries = unsafe opendir(directory.string) else {
      let error = Errno(rawValue: errno)
      if error == .noSuchFileOrDirectory { return [] }
      throw systemError(error, "opendir", "list network namespaces in \(directory)")
    }
    defer { unsafe closedir(entries) }
    var names: [String] = []
    while let entry = unsafe readdir(entries) {
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      guard name != ".", name != ".." else { continue }
      let isPin = unsafe cn_filesystem_type(directory.appending(name).string) == 0x6e73_6673  // NSFS_MAGIC
      if isPin { names.append(name) }
    }
    return names.sorted()
  }
}
