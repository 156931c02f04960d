public import Netlink
public import NetworkPrimitives

/// The links of a namespace. Calls block; see ``NetworkNamespace``.
public struct Links: Sendable {
  let namespace: NetworkNamespace

  /// Every link, by index.
  public func list() throws(NetworkError) -> [Link] {
    var links: [Link] = []
    for message in try connection().dump(LinkRequests.list()) { links.append(try Link(message)) }
    return links.sorted { $0.index < $1.index }
  }

  /// A link by name.
  ///
  /// - Throws: `.notFound` (`ENODEV`); `.invalidValue` for what is no interface name.
  public func get(_ name: String) throws(NetworkError) -> Link {
    try one(LinkRequests.get(try InterfaceName(name)))
  }

  /// A link by index.
  public func get(_ index: Int32) throws(NetworkError) -> Link { try one(LinkRequests.get(index)) }

  /// Makes a bridge, down.
  ///
  /// - Parameters:
  ///   - name: Its name.
  ///   - macAddress: Its hardware address for good; nil for the kernel's choice, which changes with its ports.
  ///   - mtu: Maximum transmission unit, bytes.
  /// - Throws: `.alreadyExists`.
  @discardableResult
  public func createBridge(
    _ name: InterfaceName, macAddress: MACAddress? = nil, mtu: UInt32 = 1500
  ) throws(NetworkError) -> Link {
    try one(LinkRequests.createBridge(name, macAddress: macAddress, mtu: mtu), orGet: name)
  }

  /// Makes a veth pair, down.
  ///
  /// - Parameters:
  ///   - end: The end in this namespace.
  ///   - peer: The other end, whose ``VethEnd/namespace`` may be another's.
  ///   - mtu: Maximum transmission unit of both, bytes.
  /// - Returns: This end; ``Link/peer`` is the other's index.
  /// - Throws: `.alreadyExists`; `.exhausted` when the bridge is full.
  @discardableResult
  public func createVeth(_ end: VethEnd, peer: VethEnd, mtu: UInt32 = 1500) throws(NetworkError) -> Link {
    var link = try one(LinkRequests.createVeth(end, peer: peer, mtu: mtu), orGet: end.name)
    // The kernel echoes the link before it sets the master, which it has acknowledged by now.
    link.master = end.master
    return link
  }

  /// Makes a macvlan on a parent of this namespace, down.
  @discardableResult
  public func createMacvlan(_ end: VethEnd, parent: Int32, mtu: UInt32 = 1500) throws(NetworkError) -> Link {
    try one(LinkRequests.createMacvlan(end, parent: parent, mtu: mtu), orGet: end.name)
  }

  /// Changes a link.
  public func change(_ index: Int32, _ change: LinkChange) throws(NetworkError) {
    try connection().execute(LinkRequests.change(index, change))
  }

  /// Sets a link up.
  public func setUp(index: Int32) throws(NetworkError) { try change(index, LinkChange(isUp: true)) }

  /// Sets a link down.
  public func setDown(index: Int32) throws(NetworkError) { try change(index, LinkChange(isUp: false)) }

  /// Deletes a link, and a veth's other end with it. The kernel takes tens of milliseconds.
  public func delete(index: Int32) throws(NetworkError) { try connection().execute(LinkRequests.delete(index)) }

  private func connection() throws(NetworkError) -> NetlinkConnection { try namespace.connection(.route) }

  /// The link that answers a request; kernels before 6.0 do not echo a new one, and are asked for it.
  private func one(_ request: NetlinkRequest, orGet name: InterfaceName? = nil) throws(NetworkError) -> Link {
    if let message = try connection().execute(request).first { return try Link(message) }
    guard let name else {
      throw NetworkError(.replyLost, operation: request.purpose, reason: "the kernel acknowledged, but sent no link")
    }
    return try one(LinkRequests.get(name))
  }
}

extension NetworkNamespace {
  /// Its links.
  public var links: Links { Links(namespace: self) }
}
