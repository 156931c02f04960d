public import SystemPackage

extension LinuxKernel {
  /// Searches the visible processes: first for one that is in the namespace, then for one that has it open.
  public func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    let processes = Processes.all()
    for process in processes {
      if let found = open("/proc/\(process)/ns/net", of: identity) { return found }
    }
    for process in processes {
      for descriptor in Processes.descriptors(of: process) {
        if let found = open(descriptor, of: identity) { return found }
      }
    }
    return nil
  }

  private func open(_ link: String, of identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    guard Processes.target(of: link) == identity.description else { return nil }
    let path = FilePath(link)
    // The process id may have been reused by now.
    guard let handle = try? openNamespace(at: path), handle.identity == identity else { return nil }
    return (handle, path)
  }
}
