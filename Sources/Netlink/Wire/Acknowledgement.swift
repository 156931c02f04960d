public import NetworkPrimitives
public import SystemPackage

/// The payload of `NLMSG_ERROR` or, at the end of a dump, `NLMSG_DONE`: an errno and the extended acknowledgement.
public struct Acknowledgement: Sendable, Hashable {
  /// The errno, or nil for success.
  public var errno: Errno?
  /// `NLMSGERR_ATTR_MSG`: a sentence; with success, a warning.
  public var message: String?
  /// `NLMSGERR_ATTR_OFFS`: the position of the bad attribute in the request, in bytes.
  public var offset: Int?
  /// `NLMSGERR_ATTR_MISS_TYPE`: the type of a missing attribute.
  public var missingAttribute: Int?

  /// Makes an acknowledgement; a simulated kernel does.
  public init(errno: Errno?, message: String? = nil, offset: Int? = nil, missingAttribute: Int? = nil) {
    self.errno = errno
    self.message = message
    self.offset = offset
    self.missingAttribute = missingAttribute
  }

  private enum Kind {
    static let message = 1
    static let offset = 2
    static let missingType = 5
  }

  /// Reads the payload of an `NLMSG_ERROR` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(error message: NetlinkMessage) throws(NetworkError) {
    var reader = PayloadReader(message.payload)
    errno = try Self.errno(reader.read(Int32.self))
    let length = Int(try reader.read(UInt32.self))
    try reader.skip(NetlinkMessage.headerSize - 4)
    if !message.flags.contains(.capped), errno != nil { try reader.skip(max(0, length - NetlinkMessage.headerSize)) }
    guard message.flags.contains(.extendedAttributes) else { return }
    // The details follow the request's copy, which the kernel pads.
    if !message.flags.contains(.capped), errno != nil { try reader.skip(-length & 3) }
    try readDetails(reader.rest)
  }

  /// Reads the payload of an `NLMSG_DONE` message; kernels may leave it empty.
  ///
  /// - Throws: `.malformedMessage`.
  public init(done message: NetlinkMessage) throws(NetworkError) {
    guard !message.payload.isEmpty else { return }
    var reader = PayloadReader(message.payload)
    errno = try Self.errno(reader.read(Int32.self))
    if message.flags.contains(.extendedAttributes) { try readDetails(reader.rest) }
  }

  /// An errno as the kernel sends it, negative; to -4,095 (`MAX_ERRNO` in `linux/err.h`).
  private static func errno(_ negative: Int32) throws(NetworkError) -> Errno? {
    guard (-4095...0).contains(negative) else {
      throw NetworkError(
        .malformedMessage, operation: "read netlink acknowledgement",
        reason: "its error number is \(negative); -4095 to 0 is possible")
    }
    return negative == 0 ? nil : Errno(rawValue: -negative)
  }

  private mutating func readDetails(_ bytes: ArraySlice<UInt8>) throws(NetworkError) {
    let attributes = try Attributes(bytes)
    message = attributes[type: Kind.message]?.string
    offset = try attributes[type: Kind.offset].map { value throws(NetworkError) in Int(try value.integer(UInt32.self)) }
    missingAttribute = try attributes[type: Kind.missingType].map { value throws(NetworkError) in
      Int(try value.integer(UInt32.self))
    }
  }

  /// The `NLMSG_ERROR` message that acknowledges `request`, as a kernel with capped acknowledgements writes it.
  public func encode(for request: NetlinkMessage, portID: UInt32) -> NetlinkMessage {
    var body = PayloadWriter()
    body.append(-(errno?.rawValue ?? 0))
    body.append(UInt32(NetlinkMessage.headerSize + request.payload.count))
    body.append(request.type)
    body.append(request.flags.rawValue)
    body.append(request.sequence)
    body.append(request.portID)
    var flags: MessageFlags = [.capped]
    if message != nil || offset != nil || missingAttribute != nil { flags.insert(.extendedAttributes) }
    if let message { body.attribute(Kind.message, string: message) }
    if let offset { body.attribute(Kind.offset, UInt32(offset)) }
    if let missingAttribute { body.attribute(Kind.missingType, UInt32(missingAttribute)) }
    return NetlinkMessage(
      type: ControlMessage.error, flags: flags, sequence: request.sequence, portID: portID, payload: body.bytes[...])
  }
}
