import CContainerNetworking
public import NetworkPrimitives

/// A neighbour entry: the kernel's knowledge of a host on a link (`RTM_NEWNEIGH`, `struct ndmsg` in
/// `linux/neighbour.h`; ARP for IPv4, neighbour discovery for IPv6).
public struct Neighbor: Hashable, Sendable {
  /// The host's address.
  public var address: IPAddress
  /// Index of its link.
  public var link: Int32
  /// Its hardware address; nil while unknown.
  public var macAddress: MACAddress?
  /// The state of the entry.
  public var state: State

  /// The state of a neighbour entry (`NUD_*`).
  public struct State: RawRepresentable, Hashable, Sendable {
    /// The bits; one of them is set.
    public let rawValue: UInt16
    /// A state from its bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// Resolution is in progress.
    public static let incomplete = State(rawValue: 0x01)
    /// Confirmed a short while ago.
    public static let reachable = State(rawValue: 0x02)
    /// Confirmed once; to be verified at the next use.
    public static let stale = State(rawValue: 0x04)
    /// Used while stale; about to be asked.
    public static let delay = State(rawValue: 0x08)
    /// Verification is in progress.
    public static let probe = State(rawValue: 0x10)
    /// Resolution failed.
    public static let failed = State(rawValue: 0x20)
    /// Needs no resolution: multicast, for example.
    public static let noARP = State(rawValue: 0x40)
    /// Set by hand; it does not expire.
    public static let permanent = State(rawValue: 0x80)
  }

  /// Makes a permanent neighbour.
  public init(_ address: IPAddress, macAddress: MACAddress, link: Int32) {
    self.address = address
    self.link = link
    self.macAddress = macAddress
    state = .permanent
  }

  /// The key of a neighbour in requests.
  init(address: IPAddress, link: Int32) {
    self.address = address
    self.link = link
    state = State(rawValue: 0)
  }

  /// Checks for values that the kernel would refuse.
  ///
  /// - Throws: `.invalidValue` naming value and rule.
  public func validate() throws(NetworkError) {
    let operation = "check neighbour \(address)"
    guard macAddress != nil || state == .noARP else {
      throw .invalid(operation, "it has no hardware address; give it one, as in 02:42:ac:11:00:02")
    }
    guard !address.isMulticast else {
      throw .invalid(operation, "\(address) is a multicast address; a neighbour has an address of its own")
    }
  }

  /// Reads an `RTM_NEWNEIGH` message; nil for a bridge's forwarding entry and other families.
  ///
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    guard AddressFamily(rawValue: try header.read()) != nil else { return nil }
    try header.skip(3)
    link = try header.read()
    state = State(rawValue: try header.read())
    try header.skip(2)
    let attributes = try Attributes(header.rest)
    guard let bytes = attributes[type: Int(NDA_DST)]?.payload, let address = IPAddress(bytes: bytes) else {
      throw NetworkError(.malformedMessage, operation: "read neighbour message", reason: "it holds no address")
    }
    self.address = address
    macAddress = attributes[type: Int(NDA_LLADDR)].flatMap { MACAddress(bytes: $0.payload) }
  }
}

/// Requests about neighbours, as bytes.
public enum NeighborRequests {
  /// Adds a neighbour; `EEXIST` when the link has one of that address, whatever its origin.
  public static func add(_ neighbor: Neighbor) -> NetlinkRequest {
    request(neighbor, UInt16(RTM_NEWNEIGH), "RTM_NEWNEIGH", [.create, .exclusive], "add")
  }

  /// Adds a neighbour, or changes the one of that address.
  public static func replace(_ neighbor: Neighbor) -> NetlinkRequest {
    request(neighbor, UInt16(RTM_NEWNEIGH), "RTM_NEWNEIGH", [.create, .replace], "set")
  }

  /// Adds a forwarding entry to a bridge: the hardware address is behind one of its ports. It ages like a learned one
  /// (`br_fdb_add` in net/bridge/br_fdb.c). `EPERM` for a port that carries no frames.
  ///
  /// - Parameters:
  ///   - macAddress: The address.
  ///   - port: Index of the link that is the port.
  package static func place(_ macAddress: MACAddress, behind port: Int32) -> NetlinkRequest {
    var entry = ForwardingEntry(macAddress, behind: port)
    entry.lifetime = .dynamic
    return ForwardingRequests.replace(entry)
  }

  /// Deletes the neighbour of that address and link; `ENOENT` for a missing one.
  public static func delete(_ neighbor: Neighbor) -> NetlinkRequest {
    var known = neighbor
    known.macAddress = nil
    return request(known, UInt16(RTM_DELNEIGH), "RTM_DELNEIGH", [], "delete")
  }

  /// Deletes the neighbour of that address and link; `ENOENT` for a missing one.
  public static func delete(_ address: IPAddress, on link: Int32) -> NetlinkRequest {
    request(Neighbor(address: address, link: link), UInt16(RTM_DELNEIGH), "RTM_DELNEIGH", [], "delete")
  }

  /// Gets the neighbour of that address and link; `ENOENT` for a missing one.
  public static func get(_ address: IPAddress, on link: Int32) -> NetlinkRequest {
    request(Neighbor(address: address, link: link), UInt16(RTM_GETNEIGH), "RTM_GETNEIGH", [], "get")
  }

  /// Gets every neighbour, or those of one link; to be dumped.
  public static func list(link: Int32? = nil) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(12)
    // Strict checking requires the index here, not in the header.
    if let link { body.attribute(Int(NDA_IFINDEX), link) }
    return NetlinkRequest(
      type: UInt16(RTM_GETNEIGH), body: body, name: "RTM_GETNEIGH", purpose: "list neighbours")
  }

  private static func request(
    _ neighbor: Neighbor, _ type: UInt16, _ name: String, _ flags: MessageFlags, _ verb: String
  ) -> NetlinkRequest {
    var body = PayloadWriter()
    body.append(neighbor.address.family.rawValue)
    body.appendZeros(3)
    body.append(neighbor.link)
    body.append(neighbor.state.rawValue)
    body.append(UInt16(0))  // flags, type
    body.attribute(Int(NDA_DST), bytes: neighbor.address.bytes)
    if let mac = neighbor.macAddress { body.attribute(Int(NDA_LLADDR), bytes: mac.bytes) }
    return NetlinkRequest(
      type: type, flags: flags, body: body, name: name,
      purpose: "\(verb) neighbour \(neighbor.address) of link \(neighbor.link)")
  }
}
