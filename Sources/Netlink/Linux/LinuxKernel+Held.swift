public import SystemPackage

extension LinuxKernel {
  /// Searches what is visible: first for a process that is in the namespace, then for one that has it open, then for a
  /// pin in any process's mount namespace.
  public func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    let processes = Processes.all()
    for process in processes {
      if let found = follow("/proc/\(process)/ns/net", to: identity) { return found }
    }
    for process in processes {
      for descriptor in Processes.descriptors(of: process) {
        if let found = follow(descriptor, to: identity) { return found }
      }
    }
    var places: Set<[String?]> = []
    for process in processes {
      let root = "/proc/\(process)/root"
      guard let mounts = Processes.target(of: "/proc/\(process)/ns/mnt"),
        places.insert([mounts, Processes.target(of: root)]).inserted
      else { continue }
      for pin in SystemView.mounts(of: identity.description, seenBy: process) {
        if let found = open(FilePath(root + pin), of: identity) { return found }
      }
    }
    return nil
  }

  /// As in `mnt:[4026531841] pid:[4026531836]`.
  public var viewpoint: String? {
    guard let mounts = Processes.target(of: "/proc/self/ns/mnt"),
      let processes = Processes.target(of: "/proc/self/ns/pid")
    else { return nil }
    return "\(mounts) \(processes)"
  }

  private func follow(_ link: String, to identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    guard Processes.target(of: link) == identity.description else { return nil }
    return open(FilePath(link), of: identity)
  }

  private func open(_ path: FilePath, of identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    // The process id may have been reused by now.
    guard let handle = try? openNamespace(at: path), handle.identity == identity else { return nil }
    return (handle, path)
  }
}
