import CContainerNetworking
public import NetworkPrimitives
public import SystemPackage

extension LinuxKernel {
  /// The files of a directory that hold a namespace (of `nsfs`), by name. An unfinished pin's empty file is left out.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    let names: [String]
    do throws(Errno) { names = try directoryNames(directory) } catch {
      if error == .noSuchFileOrDirectory { return [] }
      throw systemError(error, "opendir", "list network namespaces in \(directory)")
    }
    return names.filter { name in
      unsafe cn_filesystem_type(directory.appending(name).string) == 0x6e73_6673  // NSFS_MAGIC
    }.sorted()
  }
}
