import CContainerNetworking
public import NetworkPrimitives

/// An address of an interface as the kernel describes it (`RTM_NEWADDR`, `struct ifaddrmsg` in `linux/if_addr.h`).
public struct AssignedAddress: Hashable, Sendable {
  /// The address and its prefix.
  public var address: InterfaceAddress
  /// Index of the link that has it.
  public var link: Int32

  /// Reads an `RTM_NEWADDR` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    try header.skip(1)
    let prefixLength = Int(try header.read(UInt8.self))
    try header.skip(2)
    link = try header.read()
    let attributes = try Attributes(header.rest)
    // IFA_LOCAL is the interface's own on a point-to-point link, where IFA_ADDRESS is the other end's.
    let attribute = attributes[type: Int(IFA_LOCAL)] ?? attributes[type: Int(IFA_ADDRESS)]
    guard let bytes = attribute?.payload, let value = IPAddress(bytes: bytes) else {
      throw NetworkError(.malformedMessage, operation: "read address message", reason: "it holds no address")
    }
    do { address = try InterfaceAddress(address: value, prefixLength: prefixLength) } catch {
      throw NetworkError(.malformedMessage, operation: "read address message", reason: error.reason)
    }
  }
}

/// Requests about addresses, as bytes.
public enum AddressRequests {
  /// Gives a link an address; IPv6 without duplicate address detection, which would hold it back for a second.
  public static func add(_ address: InterfaceAddress, to link: Int32) -> NetlinkRequest {
    request(address, link, UInt16(RTM_NEWADDR), "RTM_NEWADDR", [.create, .exclusive], "add address \(address) to link")
  }

  /// Takes an address from a link.
  public static func remove(_ address: InterfaceAddress, from link: Int32) -> NetlinkRequest {
    request(address, link, UInt16(RTM_DELADDR), "RTM_DELADDR", [], "remove address \(address) from link")
  }

  /// Gets every address; to be dumped.
  public static func list() -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(8)
    return NetlinkRequest(type: UInt16(RTM_GETADDR), body: body.bytes, name: "RTM_GETADDR", purpose: "list addresses")
  }

  private static func request(
    _ address: InterfaceAddress, _ link: Int32, _ type: UInt16, _ name: String, _ flags: MessageFlags,
    _ purpose: String
  ) -> NetlinkRequest {
    var body = PayloadWriter()
    body.append(address.family.rawValue)
    body.append(UInt8(address.prefixLength))
    body.append(UInt8(address.family == .ipv6 ? IFA_F_NODAD : 0))
    body.append(UInt8(0))  // RT_SCOPE_UNIVERSE
    body.append(link)
    body.attribute(Int(IFA_LOCAL), bytes: address.address.bytes)
    body.attribute(Int(IFA_ADDRESS), bytes: address.address.bytes)
    if let broadcast = address.subnet.broadcast {
      body.attribute(Int(IFA_BROADCAST), bytes: broadcast.bytes)
    }
    return NetlinkRequest(type: type, flags: flags, body: body.bytes, name: name, purpose: "\(purpose) \(link)")
  }
}
