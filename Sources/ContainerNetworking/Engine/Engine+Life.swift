import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// Finds containers' namespaces, and decides whether they are alive: by their holder and the namespace itself, never by
/// a path alone. A pin is visible in the mount namespace where it was made, and perhaps in no other
/// (mount_namespaces(7)).
extension Engine {
  /// What is seen of a container's namespace from this process.
  enum Life {
    /// It lives, and is open.
    case seen(NetworkNamespace)
    /// It lives, and nothing that this process sees opens it.
    case elsewhere
    /// It may live where this process does not see.
    case unseen
    case gone
  }

  /// The namespace of a sandbox: the one that this process holds, the one that the record's path opens, or one of
  /// another process.
  ///
  /// - Parameter isListed: Whether it is one of many, see ``find(_:isListed:)``.
  /// - Throws: `.closed` when it is gone, when its path opens another one, and when it cannot be opened from here.
  func namespace(of record: SandboxRecord, isListed: Bool = false) throws(NetworkError) -> NetworkNamespace {
    if record.handsOutLink == true {
      throw closed(record, "it is an endpoint without a sandbox; the engine that took its link has the namespace")
    }
    let reason: String
    switch try find(record, isListed: isListed) {
    case .seen(let namespace): return namespace
    case .elsewhere:
      reason =
        record.namespacePath.map { "it lives, but \($0) does not open it in this mount namespace" }
        ?? "it lives, and has no path: another process holds it"
      throw closed(record, "\(reason), and no process is seen in it; call from where it was attached")
    case .unseen: throw closed(record, Self.unseen(record))
    case .gone:
      reason = record.namespacePath.map { "\($0) is not its namespace any more" } ?? "its holder is gone"
      throw closed(record, "\(reason); detach \"\(record.container)\" and attach it again")
    }
  }

  private func closed(_ record: SandboxRecord, _ reason: String) -> NetworkError {
    NetworkError(.closed, operation: "open the namespace of \"\(record.container)\"", reason: reason)
  }

  /// The reason why a container's life is in doubt.
  static func unseen(_ record: SandboxRecord) -> String {
    "the namespace of \"\(record.container)\" cannot be seen from here: it was attached in other namespaces of mounts and "
      + "processes\(record.viewpoint.map { " (\($0))" } ?? "")"
  }

  /// Finds the namespace of a sandbox, as ``namespace(of:isListed:)``.
  ///
  /// - Parameter isListed: Whether it is one of many: those that another process holds, without a path, are not searched.
  func find(_ record: SandboxRecord, isListed: Bool = false) throws(NetworkError) -> Life {
    if record.sandboxID == Self.hostSandbox { return .seen(host) }
    // After a stop and attach by another process, the same sandbox has a new namespace.
    if let known = namespaces.withLock({ $0[record.sandboxID] }), known.identity.inode == record.namespaceInode {
      return .seen(known)
    }
    if let path = record.namespacePath {
      do throws(NetworkError) {
        let namespace = try NetworkNamespace.open(at: FilePath(path), on: host.kernel)
        if namespace.identity.inode == record.namespaceInode {
          namespaces.withLock { $0[record.sandboxID] = namespace }
          return .seen(namespace)
        }
      } catch { if error.code == .permissionDenied { throw error } }
    }
    let endpoints = try readyEndpoints(of: record)
    let isHeld = try isHeld(record, endpoints)
    if isListed, isHeld, record.namespacePath == nil { return .elsewhere }
    let hasPairs = endpoints.contains { $0.hostInterface != nil }
    let isAlive = isHeld ? true : try hasFarEnd(endpoints)
    // A pair ends with its namespace. Where none tells, every process and pin that this one sees is looked at.
    if !isAlive, hasPairs, record.viewpoint == nil || record.viewpoint == viewpoint { return .gone }
    switch try search(record, endpoints) {
    case .seen(let namespace): return .seen(namespace)
    case .unseen where !isAlive: return .unseen
    default: break
    }
    if isAlive { return .elsewhere }
    return hasPairs || seesAll(of: record) ? .gone : .unseen
  }

  private func readyEndpoints(of record: SandboxRecord) throws(NetworkError) -> [Endpoint] {
    try look { state in state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase == .ready } }
  }

  /// Whether a live process holds it open, for one of its containers: its creator does as long as it has the record open.
  /// With this store's own token, another controller on the same store may hold it, but pairs tell better.
  private func isHeld(_ record: SandboxRecord, _ endpoints: [Endpoint]) throws(NetworkError) -> Bool {
    // Of one that is not ready, the owner is the process that works on it.
    let all = try look { state in state.members(of: record.sandboxID) } + [record]
    let owners = Set(all.filter { $0.phase == .ready }.map(\.owner))
    return owners.contains { isAlive($0) && ($0 != store.token || endpoints.allSatisfy { $0.hostInterface == nil }) }
  }

  /// Whether a pair has its other end in another namespace: it lives only as long as both ends' namespaces.
  private func hasFarEnd(_ endpoints: [Endpoint]) throws(NetworkError) -> Bool {
    for endpoint in endpoints {
      if try farEnd(of: endpoint)?.peerNamespaceID != nil { return true }
    }
    return false
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

  /// Whether this process sees all that may hold the namespace: what its creator could start and where that could mount.
  private func seesAll(of record: SandboxRecord) -> Bool {
    guard let theirs = record.viewpoint, let own = viewpoint else { return true }
    let processes = { (place: String) in place.split(separator: " ").last }
    // The machine's first PID namespace has all processes (PROC_PID_INIT_INO, include/uapi/linux/nsfs.h).
    return processes(theirs) == processes(own) || processes(own) == "pid:[4026531836]"
  }

  /// The namespace of a container, found by a process that is in it or has it open, or by a pin in another mount
  /// namespace. It is not kept open here: it should end with its holders.
  private func search(_ record: SandboxRecord, _ endpoints: [Endpoint]) throws(NetworkError) -> Life {
    guard let inode = record.namespaceInode else { return .gone }
    let identity = NamespaceIdentity(device: host.identity.device, inode: inode)
    guard let held = host.kernel.heldNamespace(identity) else { return .gone }
    let namespace = NetworkNamespace(held.handle, of: host.kernel, origin: held.path)
    // Without its holder, the number may already be another namespace's.
    if let isIt = try isKnown(namespace, as: record) { return isIt ? .seen(namespace) : .gone }
    if try isHeld(record, endpoints) { return .seen(namespace) }
    if try isHome(namespace, endpoints) { return .seen(namespace) }
    return endpoints.isEmpty ? .unseen : .gone
  }

  /// Whether a namespace is the recorded one, by the kernel's cookie; nil if that is not known.
  private func isKnown(_ namespace: NetworkNamespace, as record: SandboxRecord) throws(NetworkError) -> Bool? {
    guard let known = record.namespaceCookie else { return nil }
    _ = try namespace.connection(.route)
    let cookie = namespace.handle.cookie
    return cookie == 0 ? nil : cookie == known
  }

  /// Whether a namespace has the container's end of one of the endpoints.
  private func isHome(_ namespace: NetworkNamespace, _ endpoints: [Endpoint]) throws(NetworkError) -> Bool {
    for endpoint in endpoints {
      let port = try farEnd(of: endpoint)
      if endpoint.hostInterface != nil, port?.peerNamespaceID == nil { continue }
      let inside: Link
      do throws(NetworkError) { inside = try namespace.links.get("\(endpoint.interface)") } catch {
        guard error.code == .notFound else { throw error }
        continue
      }
      guard inside.macAddress == endpoint.macAddress else { continue }
      if let port {
        if inside.index == port.peer, inside.peer == port.index { return true }
      } else if inside.kind == "macvlan" {
        return true
      }
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
    if let isIt = try isKnown(namespace, as: record) { return isIt }
    // An open namespace keeps its number.
    if isAlive(record.owner) || namespaces.withLock({ $0[record.sandboxID]?.identity == namespace.identity }) {
      return true
    }
    if let path = record.namespacePath,
      (try? host.kernel.openNamespace(at: FilePath(path)).identity) == namespace.identity
    {
      return true
    }
    return try isHome(namespace, readyEndpoints(of: record))
  }
}

extension SandboxRecord {
  /// Notes what tells the namespace from others, and from where it is seen.
  mutating func noteNamespace(_ namespace: NetworkNamespace, seenFrom viewpoint: String?) {
    guard sandboxID != Engine.hostSandbox else { return }
    let cookie = namespace.handle.cookie
    namespaceCookie = cookie == 0 ? nil : cookie
    self.viewpoint = viewpoint
  }
}
