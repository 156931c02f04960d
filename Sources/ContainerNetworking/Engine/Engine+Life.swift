import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// Finds containers' namespaces, and decides whether they are alive: by their holder and the namespace itself, never by
/// a path alone. A pin is visible in the mount namespace where it was made, and perhaps in no other
/// (mount_namespaces(7)).
extension Engine {
  /// The namespace of a sandbox: the one that this process holds, the one that the record's path opens, or one of
  /// another process.
  ///
  /// - Throws: `.closed` when it is gone, when its path opens another one, and when it cannot be opened from here.
  func namespace(of record: SandboxRecord) throws(NetworkError) -> NetworkNamespace {
    if record.sandboxID == Self.hostSandbox { return host }
    // After a stop and attach by another process, the same sandbox has a new namespace.
    if let known = namespaces.withLock({ $0[record.sandboxID] }), known.identity.inode == record.namespaceInode {
      return known
    }
    let operation = "open the namespace of \"\(record.container)\""
    guard let path = record.namespacePath else {
      throw NetworkError(
        .closed, operation: operation,
        reason: "it was held by a process that is gone; detach \"\(record.container)\" and attach it again")
    }
    do throws(NetworkError) {
      let namespace = try NetworkNamespace.open(at: FilePath(path), on: host.kernel)
      if namespace.identity.inode == record.namespaceInode {
        namespaces.withLock { $0[record.sandboxID] = namespace }
        return namespace
      }
    } catch { if error.code == .permissionDenied { throw error } }
    guard try showsLife(record) else {
      throw NetworkError(
        .closed, operation: operation,
        reason: "\(path) is not its namespace any more; detach \"\(record.container)\" and attach it again")
    }
    if let namespace = try hiddenNamespace(of: record) { return namespace }
    throw NetworkError(
      .closed, operation: operation,
      reason: "it lives, but \(path) does not open it in this mount namespace, and no process is seen in it; "
        + "call from where \"\(record.container)\" was attached")
  }

  /// Whether a namespace without a path is, or may be, alive. Its creator holds it open as long as that process has the
  /// record open, and a veth pair lives only as long as both ends' namespaces.
  func showsLife(_ record: SandboxRecord) throws(NetworkError) -> Bool {
    let endpoints = try readyEndpoints(of: record)
    if try isHeld(record, endpoints) { return true }
    for endpoint in endpoints {
      if try farEnd(of: endpoint)?.peerNamespaceID != nil { return true }
    }
    return false
  }

  private func readyEndpoints(of record: SandboxRecord) throws(NetworkError) -> [Endpoint] {
    try look { state in state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase == .ready } }
  }

  /// Whether a live process holds it open, for one of its containers. With this store's own token, another controller
  /// on the same store may hold it, but links tell better.
  private func isHeld(_ record: SandboxRecord, _ endpoints: [Endpoint]) throws(NetworkError) -> Bool {
    let owners = Set(try look { state in state.members(of: record.sandboxID).map(\.owner) } + [record.owner])
    return owners.contains { isAlive($0) && ($0 != store.token || endpoints.isEmpty) }
  }

  /// The host's end of an endpoint's pair; nil if it is missing.
  private func farEnd(of endpoint: Endpoint) throws(NetworkError) -> Link? {
    guard let port = endpoint.hostInterface else { return nil }
    do throws(NetworkError) {
      let link = try host.links.get("\(port)")
      return link.kind == "veth" ? link : nil
    } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// The namespace of a live container, found through a process that is in it or has it open. It is not kept open here:
  /// it should end with its holders.
  private func hiddenNamespace(of record: SandboxRecord) throws(NetworkError) -> NetworkNamespace? {
    guard let inode = record.namespaceInode else { return nil }
    let identity = NamespaceIdentity(device: host.identity.device, inode: inode)
    guard let held = host.kernel.heldNamespace(identity) else { return nil }
    let namespace = NetworkNamespace(held.handle, of: host.kernel, origin: held.path)
    // Without its holder, the number may already be another namespace's.
    if try isHeld(record, readyEndpoints(of: record)) { return namespace }
    return try isHome(namespace, of: record) ? namespace : nil
  }

  /// Whether a namespace has the other end of one of the container's pairs.
  private func isHome(_ namespace: NetworkNamespace, of record: SandboxRecord) throws(NetworkError) -> Bool {
    for endpoint in try readyEndpoints(of: record) {
      guard let port = try farEnd(of: endpoint), port.peerNamespaceID != nil else { continue }
      let inside: Link
      do throws(NetworkError) { inside = try namespace.links.get("\(endpoint.interface)") } catch {
        guard error.code == .notFound else { throw error }
        continue
      }
      if inside.index == port.peer, inside.peer == port.index, inside.macAddress == endpoint.macAddress { return true }
    }
    return false
  }

  // MARK: - Whose a namespace is

  /// Refuses a given namespace that is the host's, or another container's.
  ///
  /// - Parameter departed: Containers that are wrongly recorded in it, see ``departed(from:)``.
  /// - Throws: `.refused` for the host's; `.inUse` for a container's.
  func checkIsNobodys(
    _ namespace: NetworkNamespace, for container: String, besides departed: Set<String>, _ operation: String,
    _ transaction: inout Transaction
  ) throws(NetworkError) {
    try checkIsNotTheHosts(namespace, operation)
    let others = transaction.containers(in: namespace).filter {
      $0.container != container && !departed.contains($0.container)
    }
    guard let other = others.first else { return }
    throw NetworkError(
      .inUse, operation: operation,
      reason: "\(namespace.identity) is the namespace of \"\(other.container)\"; connect that to further networks, or "
        + "attach \"\(container)\" in mode \"container:\(other.container)\"")
  }

  /// - Throws: `.refused`.
  func checkIsNotTheHosts(_ namespace: NetworkNamespace, _ operation: String) throws(NetworkError) {
    guard namespace.identity == host.identity else { return }
    throw NetworkError(
      .refused, operation: operation,
      reason: "\(namespace.identity) is the host's own namespace; attach in mode \"host\", or give a namespace of the "
        + "container's own")
  }

  /// The containers that are wrongly recorded in a namespace: the kernel reuses the number of a deleted one.
  func departed(from namespace: NetworkNamespace) throws(NetworkError) -> Set<String> {
    let records = try transaction { $0.containers(in: namespace) }
    var departed: Set<String> = []
    for record in records {
      if try !isIn(namespace, record) { departed.insert(record.container) }
    }
    return departed
  }

  private func isIn(_ namespace: NetworkNamespace, _ record: SandboxRecord) throws(NetworkError) -> Bool {
    // An open namespace keeps its number.
    if isAlive(record.owner) || namespaces.withLock({ $0[record.sandboxID]?.identity == namespace.identity }) {
      return true
    }
    if let path = record.namespacePath,
      (try? host.kernel.openNamespace(at: FilePath(path)).identity) == namespace.identity
    {
      return true
    }
    return try isHome(namespace, of: record)
  }
}
