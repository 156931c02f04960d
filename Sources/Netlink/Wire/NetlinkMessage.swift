public import NetworkPrimitives

/// One netlink message: `struct nlmsghdr` and its payload.
public struct NetlinkMessage: Sendable, Hashable {
  /// The message type: `RTM_NEWLINK`, or subsystem and message for nfnetlink.
  public var type: UInt16
  /// `NLM_F_*`.
  public var flags: MessageFlags
  /// The request this belongs to; 0 for an event.
  public var sequence: UInt32
  /// The socket of the requester; 0 for an event.
  public var portID: UInt32
  /// Everything after the header.
  public var payload: ArraySlice<UInt8>

  /// Makes a message.
  public init(
    type: UInt16, flags: MessageFlags = [], sequence: UInt32 = 0, portID: UInt32 = 0, payload: ArraySlice<UInt8>
  ) {
    self.type = type
    self.flags = flags
    self.sequence = sequence
    self.portID = portID
    self.payload = payload
  }

  /// Size of the header, bytes.
  public static let headerSize = 16

  /// Appends the message and its padding to a datagram.
  public func encode(into datagram: inout PayloadWriter) {
    datagram.append(UInt32(Self.headerSize + payload.count))
    datagram.append(type)
    datagram.append(flags.rawValue)
    datagram.append(sequence)
    datagram.append(portID)
    datagram.append(contentsOf: payload)
    datagram.align()
  }

  /// Splits a datagram into its messages.
  ///
  /// - Throws: `.malformedMessage` when a length is under the header's 16 bytes or past the end.
  public static func parse(_ datagram: ArraySlice<UInt8>) throws(NetworkError) -> [NetlinkMessage] {
    var messages: [NetlinkMessage] = []
    try forEach(in: datagram) { messages.append($0) }
    return messages
  }

  /// Calls `body` with each message of a datagram; ``parse(_:)`` returns a list instead.
  ///
  /// - Throws: As ``parse(_:)``, after the readable messages; the errors of `body`.
  package static func forEach(
    in datagram: ArraySlice<UInt8>, _ body: (NetlinkMessage) throws(NetworkError) -> Void
  ) throws(NetworkError) {
    var start = datagram.startIndex
    while datagram.endIndex - start >= headerSize {
      let length = Int(datagram.integer(at: start, UInt32.self))
      guard length >= headerSize, length <= datagram.endIndex - start else {
        throw NetworkError(
          .malformedMessage, operation: "read netlink message",
          reason: "its length is \(length); \(headerSize) to \(datagram.endIndex - start) is possible")
      }
      try body(
        NetlinkMessage(
          type: datagram.integer(at: start + 4), flags: MessageFlags(rawValue: datagram.integer(at: start + 6)),
          sequence: datagram.integer(at: start + 8), portID: datagram.integer(at: start + 12),
          payload: datagram[start + headerSize..<start + length]))
      start += min((length + 3) & ~3, datagram.endIndex - start)
    }
    guard start == datagram.endIndex else {
      throw NetworkError(
        .malformedMessage, operation: "read netlink message",
        reason: "\(datagram.endIndex - start) bytes are left over at the end")
    }
  }
}

/// `NLM_F_*` of `linux/netlink.h`. Bits have different meanings for requests that get, make and delete.
public struct MessageFlags: OptionSet, Sendable, Hashable {
  /// The bits.
  public let rawValue: UInt16
  /// Flags from their bits.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Marks a request.
  public static let request = MessageFlags(rawValue: 0x1)
  /// More parts follow, up to `NLMSG_DONE`.
  public static let multipart = MessageFlags(rawValue: 0x2)
  /// Requests an acknowledgement.
  public static let acknowledge = MessageFlags(rawValue: 0x4)
  /// Requests the change's notification as a reply.
  public static let echo = MessageFlags(rawValue: 0x8)
  /// The dump is inconsistent: the table changed while it was read.
  public static let dumpInterrupted = MessageFlags(rawValue: 0x10)
  /// Get: the whole table (`NLM_F_ROOT | NLM_F_MATCH`).
  public static let dump = MessageFlags(rawValue: 0x300)
  /// New: replace an existing object.
  public static let replace = MessageFlags(rawValue: 0x100)
  /// New: fail with `EEXIST` for an existing object.
  public static let exclusive = MessageFlags(rawValue: 0x200)
  /// New: create a missing object.
  public static let create = MessageFlags(rawValue: 0x400)
  /// New: at the end of the list.
  public static let append = MessageFlags(rawValue: 0x800)
  /// Acknowledgement: the request's payload is omitted.
  public static let capped = MessageFlags(rawValue: 0x100)
  /// Acknowledgement: attributes with the details follow.
  public static let extendedAttributes = MessageFlags(rawValue: 0x200)
}

/// Message types that mean the same in every netlink family.
public enum ControlMessage {
  /// `NLMSG_NOOP`.
  public static let noop: UInt16 = 1
  /// `NLMSG_ERROR`: an error, or with error 0 an acknowledgement.
  public static let error: UInt16 = 2
  /// `NLMSG_DONE`: the end of a dump.
  public static let done: UInt16 = 3
}

/// A request without a sequence number, as a typed layer passes it to ``NetlinkConnection``.
public struct NetlinkRequest: Sendable {
  /// The message type.
  public var type: UInt16
  /// Flags besides request and acknowledge, which the connection sets.
  public var flags: MessageFlags
  /// Header of the family, and attributes.
  public var body: [UInt8]
  /// The kernel's name of the request, for errors: `RTM_NEWLINK`.
  public var name: String
  /// Its purpose, for errors: `create link "cn0"`.
  public var purpose: String { describe() }
  /// Whether an attribute of the body is longer than netlink can tell.
  private(set) var isTooLong = false
  /// Computed on demand: only the error of a refused request needs it.
  private let describe: @Sendable () -> String

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - type: The message type.
  ///   - flags: Flags besides request and acknowledge.
  ///   - body: Header of the family, and attributes.
  ///   - name: The kernel's name of the request.
  ///   - purpose: Its purpose; built on demand.
  public init(
    type: UInt16, flags: MessageFlags = [], body: [UInt8], name: String,
    purpose: @autoclosure @escaping @Sendable () -> String
  ) {
    self.type = type
    self.flags = flags
    self.body = body
    self.name = name
    describe = purpose
  }

  /// Makes a request of a written body.
  ///
  /// - Parameters:
  ///   - type: The message type.
  ///   - flags: Flags besides request and acknowledge.
  ///   - body: Header of the family, and attributes; with one that is too long, the connection refuses the request.
  ///   - name: The kernel's name of the request.
  ///   - purpose: Its purpose; built on demand.
  public init(
    type: UInt16, flags: MessageFlags = [], body: PayloadWriter, name: String,
    purpose: @autoclosure @escaping @Sendable () -> String
  ) {
    self.type = type
    self.flags = flags
    self.body = body.bytes
    self.name = name
    describe = purpose
    isTooLong = body.isTooLong
  }
}

extension NetlinkRequest: Hashable {
  /// Whether they send the same request, with the same texts.
  public static func == (left: NetlinkRequest, right: NetlinkRequest) -> Bool {
    left.type == right.type && left.flags == right.flags && left.body == right.body && left.name == right.name
      && left.purpose == right.purpose
  }

  /// Hashes the wire contents.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(type)
    hasher.combine(flags)
    hasher.combine(body)
  }
}
