public import Netlink
public import NetworkPrimitives

/// Creation and settings of links by kind.
extension Links {
  /// Creates a bridge, down.
  ///
  /// - Parameters:
  ///   - name: Its name.
  ///   - macAddress: A fixed hardware address; nil for the kernel's choice, which changes with its ports.
  ///   - mtu: Maximum transmission unit, bytes.
  ///   - options: Its options; nil values are the kernel's defaults.
  /// - Throws: `.alreadyExists`; `.invalidValue`; `.unsupported` for VLANs on a kernel without them, and nothing is
  ///   created.
  @discardableResult
  public func createBridge(
    _ name: InterfaceName, macAddress: MACAddress? = nil, mtu: UInt32 = 1500, options: BridgeOptions = BridgeOptions()
  ) throws(NetworkError) -> Link {
    try options.validate()
    let request = LinkRequests.createBridge(name, macAddress: macAddress, mtu: mtu, options: options)
    try check(mtu, macAddress, request)
    let link: Link
    do { link = try make(request, kind: "bridge", name) } catch {
      throw options.filtersVLANs != nil && error.code == .unsupported ? Self.withoutVLANs(error) : error
    }
    // A kernel without VLANs ignores the default one.
    if options.defaultVLAN != nil, link.bridge?.defaultVLAN == nil {
      try delete(index: link.index)
      throw Self.withoutVLANs(NetworkError(.unsupported, operation: request.purpose))
    }
    return link
  }

  /// Changes a bridge.
  ///
  /// - Throws: `.invalidValue`; `.unsupported` for a link that is not a bridge, and for VLANs on a kernel without them.
  public func changeBridge(_ index: Int32, _ options: BridgeOptions) throws(NetworkError) {
    try options.validate()
    let request = LinkRequests.changeBridge(index, options)
    guard let bridge = try get(index).bridge else {
      throw NetworkError(.unsupported, operation: request.purpose, reason: "link \(index) is not a bridge")
    }
    if options.filtersVLANs != nil || options.defaultVLAN != nil, bridge.filtersVLANs == nil {
      throw Self.withoutVLANs(NetworkError(.unsupported, operation: request.purpose))
    }
    try connection().execute(request)
  }

  /// Changes the options of a bridge's port.
  ///
  /// - Throws: `.invalidValue`; `.unsupported` for a link that is not a bridge's port.
  public func changeBridgePort(_ index: Int32, _ options: BridgePortOptions) throws(NetworkError) {
    try options.validate()
    do { try connection().execute(LinkRequests.changeBridgePort(index, options)) } catch {
      guard error.code == .unsupported else { throw error }
      var error = error
      error.reason = "link \(index) is not a port of a bridge; give it a master first"
      throw error
    }
  }

  /// Creates a veth pair, down.
  ///
  /// - Parameters:
  ///   - end: The end in this namespace.
  ///   - peer: The other end, whose `namespace` may be another one.
  ///   - mtu: Maximum transmission unit of both, bytes.
  /// - Returns: This end; `peer` is the other's index.
  /// - Throws: `.alreadyExists`; `.invalidValue`; `.exhausted` when the bridge is full.
  @discardableResult
  public func createVeth(_ end: VethEnd, peer: VethEnd, mtu: UInt32 = 1500) throws(NetworkError) -> Link {
    let request = LinkRequests.createVeth(end, peer: peer, mtu: mtu)
    try check(mtu, end.macAddress, request)
    try check(mtu, peer.macAddress, request)
    var link = try make(request, kind: "veth", end.name)
    // The kernel echoes the link before it sets the master, but has acknowledged that by now.
    link.master = end.master
    return link
  }

  /// Creates a macvlan on a parent of this namespace, down.
  ///
  /// - Throws: `.alreadyExists`; `.invalidValue`; `.notFound` for the parent; the kernel's `EINVAL` if one in
  ///   `passthru` mode would share its parent.
  @discardableResult
  public func createMacvlan(
    _ end: VethEnd, parent: Int32, mtu: UInt32 = 1500, mode: MacvlanMode = .bridge
  ) throws(NetworkError) -> Link {
    let request = LinkRequests.createMacvlan(end, parent: parent, mtu: mtu, mode: mode)
    try check(mtu, end.macAddress, request)
    return try make(request, kind: "macvlan", end.name)
  }

  /// Creates an ipvlan on a parent of this namespace, down.
  ///
  /// - Parameters:
  ///   - end: Its name and namespace.
  ///   - parent: Index of the parent.
  ///   - mtu: Its MTU; nil for the parent's.
  ///   - mode: The mode of all ipvlans of the parent.
  ///   - flag: The flag of all of them; nil for the one that they have.
  /// - Throws: `.unsupported` on a kernel without `CONFIG_IPVLAN`; `.alreadyExists`; `.notFound` for the parent; the kernel's
  ///   `EBUSY` if the parent carries macvlans, or is a port of a bridge.
  @discardableResult
  public func createIpvlan(
    _ end: VethEnd, parent: Int32, mtu: UInt32? = nil, mode: IpvlanMode = .l2, flag: IpvlanFlag? = nil
  ) throws(NetworkError) -> Link {
    let request = LinkRequests.createIpvlan(end, parent: parent, mtu: mtu, mode: mode, flag: flag)
    if let mtu { try LinkChange.check(mtu: mtu, operation: request.purpose) }
    return try make(request, kind: "ipvlan", end.name)
  }

  /// Creates a link of a kind that needs no options, down: `dummy`, `ifb`, `nlmon`.
  ///
  /// - Throws: `.unsupported` for a kind that this kernel lacks; `.alreadyExists`; `.invalidValue`.
  @discardableResult
  public func create(_ end: VethEnd, kind: String) throws(NetworkError) -> Link {
    guard !kind.isEmpty, kind.utf8.count < 64 else {
      throw .invalid(
        "create link \"\(end.name)\"", "\(quoted(kind)) is not a kind of link; a kind has 1 to 63 bytes, as in dummy")
    }
    return try make(LinkRequests.create(end, kind: kind), kind: kind, end.name)
  }

  private func check(_ mtu: UInt32, _ address: MACAddress?, _ request: NetlinkRequest) throws(NetworkError) {
    try LinkChange.check(mtu: mtu, operation: request.purpose)
    if let address { try LinkChange.check(macAddress: address, operation: request.purpose) }
  }

  func make(_ request: NetlinkRequest, kind: String, _ name: InterfaceName) throws(NetworkError) -> Link {
    do { return try one(request, orGet: name) } catch {
      guard let lack = error.lack(of: kind) else { throw error }
      var error = error
      error.reason = lack
      throw error
    }
  }

  private static func withoutVLANs(_ error: NetworkError) -> NetworkError {
    var error = error
    error.reason = "this kernel's bridges have no VLAN filtering; use a kernel with CONFIG_BRIDGE_VLAN_FILTERING"
    return error
  }
}

extension NetworkError {
  /// The sentence about a kind of link that the kernel lacks; nil for any other refusal.
  func lack(of kind: String) -> String? {
    // The kernel's only sentence for an unknown kind, since 4.15.
    guard code == .unsupported, kernel?.message == "Unknown device type" else { return nil }
    return "this kernel has no \(kind) links; load the module (modprobe \(kind)), or use a kernel with "
      + "CONFIG_\(kind.uppercased())"
  }
}
