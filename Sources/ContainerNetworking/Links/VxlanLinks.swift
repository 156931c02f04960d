public import Netlink
public import NetworkPrimitives

/// Creation and change of VXLANs.
extension Links {
  /// Creates a VXLAN, down. Its UDP socket is opened when it is set up, in this namespace also if the link is made in
  /// another.
  ///
  /// - Parameters:
  ///   - end: Its name, hardware address, bridge and namespace.
  ///   - options: Its options; local and remote address choose IPv4 or IPv6.
  ///   - mtu: Maximum transmission unit, bytes; nil for that of the underlay less `VxlanOptions.overhead`, and for
  ///     1,500 without an underlay, which is too much over most links.
  /// - Throws: `.alreadyExists` for the name, and for a VNI that the namespace has with that port and family, naming
  ///   the link that has it; `.invalidValue`, also for an MTU over the underlay's; `.notFound` for the underlay;
  ///   `.unsupported` on a kernel without `CONFIG_VXLAN`.
  @discardableResult
  public func createVxlan(_ end: VethEnd, _ options: VxlanOptions, mtu: UInt32? = nil) throws(NetworkError) -> Link {
    try options.validate()
    let request = LinkRequests.createVxlan(end, mtu: mtu, options: options)
    if let mtu { try LinkChange.check(mtu: mtu, operation: request.purpose) }
    if let address = end.macAddress { try LinkChange.check(macAddress: address, operation: request.purpose) }
    // The kernel cuts an MTU that is too large for the underlay, and says nothing.
    if let mtu, let underlay = options.underlay {
      let below = try get(underlay)
      guard mtu + options.overhead <= below.mtu else {
        throw .invalid(
          request.purpose,
          "the MTU is \(mtu); over \(quoted(below.name)), whose MTU is \(below.mtu), a VXLAN's is at most "
            + "\(below.mtu - min(below.mtu, options.overhead)), for its headers take \(options.overhead) bytes")
      }
    }
    do {
      var link = try make(request, kind: "vxlan", end.name)
      // As for a veth pair.
      link.master = end.master
      return link
    } catch {
      guard error.code == .alreadyExists, error.kernel?.message?.contains("VNI") == true else { throw error }
      throw taken(options, error)
    }
  }

  /// Changes a VXLAN.
  ///
  /// - Throws: `.invalidValue`; `.unsupported` for a link that is no VXLAN, and for a local address of another family.
  public func changeVxlan(_ index: Int32, _ change: VxlanChange) throws(NetworkError) {
    try change.validate()
    let request = LinkRequests.changeVxlan(index, change)
    do { try connection().execute(request) } catch {
      guard error.code == .unsupported else { throw error }
      var error = error
      if let options = try get(index).vxlan {
        guard let local = change.local, local.family != options.family else { throw error }
        error.reason =
          "VXLAN \(index) is of \(options.family), and \(local) of \(local.family); delete it, and create it with the "
          + "address"
      } else {
        error.reason = "link \(index) is no VXLAN"
      }
      throw error
    }
  }

  /// The error for a VNI that the namespace has, with its holder.
  private func taken(_ options: VxlanOptions, _ error: NetworkError) -> NetworkError {
    var error = error
    let links = (try? list()) ?? []
    let holder = links.first { link in
      // A link that was made in another namespace holds nothing of this one.
      guard let other = link.vxlan, link.peerNamespaceID == nil else { return false }
      return other.identifier == options.identifier && other.port == options.port && other.family == options.family
    }
    let whose =
      holder.map { "link \(quoted($0.name)) has it" }
      ?? "a link has it that was made in this namespace and is in another"
    error.reason =
      "VNI \(options.identifier) with port \(options.port) is there once over \(options.family), and \(whose); delete "
      + "that, or choose another VNI or port"
    return error
  }

  /// The error for a VXLAN that cannot come up, since its UDP port is held.
  func heldPort(of index: Int32, _ error: NetworkError) -> NetworkError {
    guard error.kernel?.errno == .addressInUse, let options = try? get(index).vxlan else { return error }
    var error = error
    let binding = TransportAddress(.any(options.family), options.port, .udp)
    var holder = "a program or another kind of tunnel holds it"
    do throws(NetworkError) {
      let socket = try namespace.bindSocket(to: binding)
      try? socket.close()
    } catch {
      if error.code == .inUse { holder = error.reason }
    }
    error.reason =
      "the VXLAN needs UDP port \(options.port) of all \(options.family) addresses, which is held: \(holder)"
    return error
  }
}
