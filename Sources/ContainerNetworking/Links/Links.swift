public import Netlink
public import NetworkPrimitives

/// The links of a namespace. Calls block; see ``NetworkNamespace``.
///
/// Every call may throw `.permissionDenied` without `CAP_NET_ADMIN` and, where it names a link, `.notFound` (`ENODEV`).
public struct Links: Sendable {
  let namespace: NetworkNamespace

  /// Every link, by index.
  public func list() throws(NetworkError) -> [Link] {
    var links: [Link] = []
    for message in try connection().dump(LinkRequests.list()) { links.append(try Link(message)) }
    return links.sorted { $0.index < $1.index }
  }

  /// The placement data of every link.
  package func glances() throws(NetworkError) -> [LinkGlance] {
    var links: [LinkGlance] = []
    for message in try connection().dump(LinkRequests.glances()) { links.append(try LinkGlance(message)) }
    return links
  }

  /// Of every link that is no port of another whether it forwards.
  package func withoutMaster() throws(NetworkError) -> [LinkForwarding] {
    for request in [LinkRequests.withoutMaster(), LinkRequests.glances()] {
      var links: [LinkForwarding] = []
      for message in try connection().dump(request) { links.append(try LinkForwarding(message)) }
      // `lo` is there always: without it, the kernel does not know the question.
      if !links.isEmpty { return links.filter { $0.master == nil } }
    }
    return []
  }

  /// A link by name.
  ///
  /// - Throws: `.notFound` (`ENODEV`); `.invalidValue` for an invalid interface name.
  public func get(_ name: String) throws(NetworkError) -> Link {
    try one(LinkRequests.get(try InterfaceName(name)))
  }

  /// A link by index.
  ///
  /// - Throws: `.notFound` (`ENODEV`).
  public func get(_ index: Int32) throws(NetworkError) -> Link { try one(LinkRequests.get(index)) }

  /// Changes a link; properties that the change omits stay as they are.
  ///
  /// - Throws: `.invalidValue` before any kernel request; `.alreadyExists` for a name that is taken; `.inUse`
  ///   (`EADDRINUSE`) for a VXLAN that is set up while something else holds its UDP port, naming that where it is seen.
  public func change(_ index: Int32, _ change: LinkChange) throws(NetworkError) {
    try change.validate()
    do { try connection().execute(LinkRequests.change(index, change)) } catch {
      throw change.isUp == true ? heldPort(of: index, error) : error
    }
  }

  /// Sets a link up.
  ///
  /// - Throws: As ``change(_:_:)``.
  public func setUp(index: Int32) throws(NetworkError) { try change(index, LinkChange(isUp: true)) }

  /// Sets a link down.
  public func setDown(index: Int32) throws(NetworkError) { try change(index, LinkChange(isUp: false)) }

  /// Deletes a link, and a veth's other end with it. Takes the kernel tens of milliseconds.
  ///
  /// - Throws: `.unsupported` for `lo` and hardware, which cannot be deleted.
  public func delete(index: Int32) throws(NetworkError) { try connection().execute(LinkRequests.delete(index)) }

  /// Deletes all links of a group in one request, in the time of a single deletion.
  ///
  /// - Parameter group: The number set by ``setGroup(_:of:)``; not 0, the group of all other links.
  /// - Throws: `.invalidValue` for 0; `.notFound` for a group without links.
  public func delete(group: UInt32) throws(NetworkError) {
    guard group != 0 else {
      throw .invalid(
        "delete links of group 0", "group 0 holds every link without a group of its own; give the links a group first")
    }
    try connection().execute(LinkRequests.delete(group: group))
  }

  func connection() throws(NetworkError) -> NetlinkConnection { try namespace.connection(.route) }

  /// The link in the reply to a request; kernels before 6.0 do not echo a new one, which is then queried.
  func one(_ request: NetlinkRequest, orGet name: InterfaceName? = nil) throws(NetworkError) -> Link {
    if let message = try connection().execute(request).first { return try Link(message) }
    guard let name else {
      throw NetworkError(
        .replyLost, operation: request.purpose, reason: "the kernel acknowledged the request, but sent no link")
    }
    return try one(LinkRequests.get(name))
  }
}

/// Single changes.
extension Links {
  /// Renames a link.
  ///
  /// - Throws: `.alreadyExists` when another has the name; `.inUse` when the link is up, on kernels before 6.1.
  public func rename(_ index: Int32, to name: InterfaceName) throws(NetworkError) {
    var change = LinkChange()
    change.name = name
    try self.change(index, change)
  }

  /// Sets the maximum transmission unit, bytes.
  ///
  /// - Throws: `.invalidValue` under 68 and over 65,536; the kernel's `EINVAL` if the link's limit is lower.
  public func setMTU(_ mtu: UInt32, of index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.mtu = mtu
    try self.change(index, change)
  }

  /// Sets the hardware address.
  ///
  /// - Throws: `.invalidValue` for a multicast address and for all zeros.
  public func setMACAddress(_ address: MACAddress, of index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.macAddress = address
    try self.change(index, change)
  }

  /// Makes a link a port of a bridge.
  ///
  /// - Throws: `.exhausted` when the bridge is full; `.unsupported` for a master that takes no ports.
  public func setMaster(_ master: Int32, of index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.master = master
    try self.change(index, change)
  }

  /// Removes a link from its bridge; does nothing without one.
  public func clearMaster(of index: Int32) throws(NetworkError) { try setMaster(0, of: index) }

  /// Moves a link to another namespace, where it is down and may have another index. The move waits for a grace period
  /// under the kernel's one lock: prefer to create the link there (`namespace`).
  ///
  /// - Throws: `.alreadyExists` when the name is taken there; the kernel's `EINVAL` for `lo` and bridges.
  public func move(_ index: Int32, to namespace: NetworkNamespace) throws(NetworkError) {
    var change = LinkChange()
    change.namespace = namespace.handle.descriptor
    try self.change(index, change)
  }

  /// Sets a link's alias, a text for people of up to 255 bytes; empty for none.
  public func setAlias(_ alias: String, of index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.alias = alias
    try self.change(index, change)
  }

  /// Puts a link into a group; 0 for none.
  public func setGroup(_ group: UInt32, of index: Int32) throws(NetworkError) {
    var change = LinkChange()
    change.group = group
    try self.change(index, change)
  }
}

extension NetworkNamespace {
  /// Its links.
  public var links: Links { Links(namespace: self) }
}
