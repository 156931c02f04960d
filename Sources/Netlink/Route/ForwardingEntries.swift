import CContainerNetworking
public import NetworkPrimitives

/// A forwarding entry: the way of frames to a hardware address (`RTM_NEWNEIGH` of `AF_BRIDGE`, `struct ndmsg` in
/// `linux/neighbour.h`, bridge(8)). A bridge has a table of them, and so has each VXLAN: a port that is a VXLAN needs
/// one entry in either.
public struct ForwardingEntry: Hashable, Sendable {
  /// The hardware address; all zeros in a VXLAN's table for frames that are flooded.
  public var macAddress: MACAddress
  /// Index of the VXLAN, or of the bridge's port; of the bridge itself for its own addresses.
  public var link: Int32
  /// The table.
  public var table: Table
  /// How long it lasts.
  public var lifetime: Lifetime
  /// In a VXLAN's table, the destination's UDP port (`NDA_PORT`); nil for the VXLAN's own.
  public var port: UInt16?
  /// In a bridge's table, the VLAN (`NDA_VLAN`); nil without VLANs.
  public var vlan: UInt16?
  /// In a VXLAN's table, the destination's VNI (`NDA_VNI`); nil for the VXLAN's own.
  public var identifier: UInt32?
  /// In a VXLAN's table, index of the link that packets leave by (`NDA_IFINDEX`); nil for that of the route.
  public var outgoingLink: Int32?
  // Keep this property last, as in ``PortBinding``.
  /// In a VXLAN's table, the address of the host (`NDA_DST`).
  public var destination: IPAddress?

  /// The table that an entry is in.
  public enum Table: Hashable, Sendable, CaseIterable {
    /// The link's own (`self`, `NTF_SELF`): a VXLAN's.
    case link
    /// That of the bridge of which the link is a port (`master`, `NTF_MASTER`).
    case bridge
  }

  /// How long an entry lasts (`NUD_*`).
  public enum Lifetime: Hashable, Sendable, CaseIterable {
    /// Until it is deleted (`permanent`, `local`). In a bridge's table it is the bridge's own: frames to it are for the
    /// host.
    case permanent
    /// Until it is deleted (`static`).
    case `static`
    /// Until it is unused for the ageing time, or its link goes down (`dynamic`).
    case dynamic
  }

  /// An entry of a VXLAN's table: the address is on another host. It is permanent.
  public init(_ macAddress: MACAddress, on link: Int32, to destination: IPAddress) {
    self.macAddress = macAddress
    self.link = link
    table = .link
    lifetime = .permanent
    self.destination = destination
  }

  /// An entry of a bridge's table: the address is behind one of its ports. It is static.
  public init(_ macAddress: MACAddress, behind port: Int32) {
    self.macAddress = macAddress
    link = port
    table = .bridge
    lifetime = .static
  }

  /// The key of an entry in requests.
  init(_ macAddress: MACAddress, on link: Int32, in table: Table) {
    self.macAddress = macAddress
    self.link = link
    self.table = table
    lifetime = .permanent
  }

  /// Checks for values that the kernel would refuse or ignore.
  ///
  /// - Throws: `.invalidValue` naming value and rule.
  public func validate() throws(NetworkError) {
    let operation = "check forwarding entry \(macAddress)"
    if table == .bridge {
      guard macAddress.rawValue != 0 else {
        throw .invalid(
          operation, "a bridge has no entry for all zeros; it floods frames to unknown addresses by itself")
      }
      guard destination == nil, port == nil, identifier == nil, outgoingLink == nil else {
        throw .invalid(
          operation,
          "a bridge's entry names a port, and no destination, UDP port, VNI or outgoing link; these are a VXLAN's")
      }
    }
    if let destination, destination.isUnspecified {
      throw .invalid(operation, "the destination, \(destination), is none; it is a host's address")
    }
    if let port, port == 0 { throw .invalid(operation, "the port is 0; it is 1 to 65535, or nil for the VXLAN's own") }
    if let identifier, identifier >= 1 << 24 {
      throw .invalid(operation, "the VNI is \(identifier); it has 24 bits, so it is 0 to 16777215 (RFC 7348)")
    }
    if let vlan, !(1...4094).contains(vlan) { throw .invalid(operation, "the VLAN is \(vlan); it is 1 to 4094") }
  }

  /// Reads an `RTM_NEWNEIGH` message; nil for a neighbour entry.
  ///
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    guard try header.read(UInt8.self) == ForwardingRequests.family else { return nil }
    try header.skip(3)
    link = try header.read()
    let state: UInt16 = try header.read()
    lifetime =
      state & Neighbor.State.permanent.rawValue != 0
      ? .permanent : state & Neighbor.State.noARP.rawValue != 0 ? .static : .dynamic
    // A bridge's entries have neither flag, but name the bridge.
    table = try header.read(UInt8.self) & UInt8(NTF_SELF) != 0 ? .link : .bridge
    try header.skip(1)
    let attributes = try Attributes(header.rest)
    guard let mac = attributes[type: Int(NDA_LLADDR)].flatMap({ MACAddress(bytes: $0.payload) }) else {
      throw NetworkError(
        .malformedMessage, operation: "read forwarding entry", reason: "it holds no hardware address of six bytes")
    }
    macAddress = mac
    port = try attributes[type: Int(NDA_PORT)]?.bigEndian()
    vlan = try attributes[type: Int(NDA_VLAN)]?.integer()
    identifier = try attributes[type: Int(NDA_VNI)]?.integer()
    outgoingLink = try attributes[type: Int(NDA_IFINDEX)]?.integer()
    destination = attributes[type: Int(NDA_DST)].flatMap { IPAddress(bytes: $0.payload) }
  }
}

/// Requests about forwarding entries, as bytes.
public enum ForwardingRequests {
  /// Adds an entry; `EEXIST` when the table has one for that address.
  public static func add(_ entry: ForwardingEntry) -> NetlinkRequest {
    change(entry, UInt16(RTM_NEWNEIGH), "RTM_NEWNEIGH", [.create, .exclusive], "add")
  }

  /// Adds an entry, or changes the one for that address: its destination, or its port of the bridge.
  public static func replace(_ entry: ForwardingEntry) -> NetlinkRequest {
    change(entry, UInt16(RTM_NEWNEIGH), "RTM_NEWNEIGH", [.create, .replace], "set")
  }

  /// Adds a destination to a VXLAN's entry for all zeros or for a group.
  public static func append(_ entry: ForwardingEntry) -> NetlinkRequest {
    change(entry, UInt16(RTM_NEWNEIGH), "RTM_NEWNEIGH", [.create, .append], "append")
  }

  /// Deletes an entry; of several destinations, that one. `ENOENT` for an unknown address, and for one that is behind
  /// another port of the bridge.
  public static func delete(_ entry: ForwardingEntry) -> NetlinkRequest {
    change(entry, UInt16(RTM_DELNEIGH), "RTM_DELNEIGH", [], "delete")
  }

  /// Deletes the entry for an address, with every destination; `ENOENT` for an unknown address.
  public static func delete(
    _ macAddress: MACAddress, on link: Int32, in table: ForwardingEntry.Table
  ) -> NetlinkRequest {
    delete(ForwardingEntry(macAddress, on: link, in: table))
  }

  /// Gets the entry for an address, with its first destination; `ENOENT` for an unknown address.
  public static func get(_ macAddress: MACAddress, on link: Int32, in table: ForwardingEntry.Table) -> NetlinkRequest {
    var body = header(link: link, flags: table.flag)
    body.attribute(Int(NDA_LLADDR), bytes: macAddress.bytes)
    return NetlinkRequest(
      type: UInt16(RTM_GETNEIGH), body: body.bytes, name: "RTM_GETNEIGH",
      purpose: "get forwarding entry \(macAddress) of link \(link)")
  }

  /// Gets the entries of a link, of its own table and of its bridge's; to be dumped.
  public static func list(link: Int32) -> NetlinkRequest { list(Int(NDA_IFINDEX), link, "link") }

  /// Gets the entries of a bridge and of all its ports, of the bridge's table and of theirs; to be dumped.
  public static func list(bridge: Int32) -> NetlinkRequest { list(Int(NDA_MASTER), bridge, "bridge") }

  /// `AF_BRIDGE`.
  static let family: UInt8 = 7

  private static func list(_ filter: Int, _ index: Int32, _ noun: StaticString) -> NetlinkRequest {
    var body = header()
    // Strict checking accepts no other attributes.
    body.attribute(filter, index)
    return NetlinkRequest(
      type: UInt16(RTM_GETNEIGH), body: body.bytes, name: "RTM_GETNEIGH",
      purpose: "list forwarding entries of \(noun) \(index)")
  }

  private static func header(link: Int32 = 0, state: UInt16 = 0, flags: UInt8 = 0) -> PayloadWriter {
    var body = PayloadWriter(capacity: 64)
    body.append(family)
    body.appendZeros(3)
    body.append(link)
    body.append(state)
    body.append(flags)
    body.append(UInt8(0))  // type
    return body
  }

  private static func change(
    _ entry: ForwardingEntry, _ type: UInt16, _ name: String, _ flags: MessageFlags, _ verb: String
  ) -> NetlinkRequest {
    var body = header(link: entry.link, state: entry.state, flags: entry.table.flag)
    body.attribute(Int(NDA_LLADDR), bytes: entry.macAddress.bytes)
    if let destination = entry.destination { body.attribute(Int(NDA_DST), bytes: destination.bytes) }
    if let port = entry.port { body.attribute(Int(NDA_PORT), bigEndian: port) }
    if let identifier = entry.identifier { body.attribute(Int(NDA_VNI), identifier) }
    if let link = entry.outgoingLink { body.attribute(Int(NDA_IFINDEX), link) }
    if let vlan = entry.vlan { body.attribute(Int(NDA_VLAN), vlan) }
    return NetlinkRequest(
      type: type, flags: flags, body: body.bytes, name: name,
      purpose: "\(verb) forwarding entry \(entry.macAddress) of link \(entry.link)")
  }
}

extension ForwardingEntry.Table {
  fileprivate var flag: UInt8 { UInt8(self == .link ? NTF_SELF : NTF_MASTER) }
}

extension ForwardingEntry {
  /// `NUD_*`. A VXLAN refuses a state without one of reachable and permanent, as bridge(8) sends them. A bridge tells
  /// of an entry that is replaced by an equal one, unless it has just the state that the bridge reports.
  fileprivate var state: UInt16 {
    let noARP = Neighbor.State.noARP.rawValue
    return switch lifetime {
    case .permanent: table == .link ? noARP | Neighbor.State.permanent.rawValue : Neighbor.State.permanent.rawValue
    case .static: table == .link ? noARP | Neighbor.State.reachable.rawValue : noARP
    case .dynamic: Neighbor.State.reachable.rawValue
    }
  }
}
