import CContainerNetworking
public import NetworkPrimitives

/// An address of an interface as the kernel describes it (`RTM_NEWADDR`, `struct ifaddrmsg` in `linux/if_addr.h`).
public struct AssignedAddress: Hashable, Sendable {
  /// The address and its prefix.
  public var address: InterfaceAddress
  /// Index of its link.
  public var link: Int32
  /// The state of the address (`IFA_FLAGS`).
  public var flags: AddressFlags
  /// A label for old tools that assume one IPv4 address per name (`IFA_LABEL`): `eth0`, `eth0:1`.
  public var label: String?
  /// The remaining lifetime, in whole seconds; nil for permanent.
  public var validLifetime: Duration?
  /// The remaining time in which new connections use it, in whole seconds; nil for permanent.
  public var preferredLifetime: Duration?

  /// Reads an `RTM_NEWADDR` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    try header.skip(1)
    let prefixLength = Int(try header.read(UInt8.self))
    // The header holds the first eight flags.
    flags = AddressFlags(rawValue: UInt32(try header.read(UInt8.self)))
    try header.skip(1)
    link = try header.read()
    let attributes = try Attributes(header.rest)
    // On a point-to-point link, IFA_LOCAL is the interface's own address and IFA_ADDRESS the peer's.
    let attribute = attributes[type: Int(IFA_LOCAL)] ?? attributes[type: Int(IFA_ADDRESS)]
    guard let bytes = attribute?.payload, let value = IPAddress(bytes: bytes) else {
      throw NetworkError(.malformedMessage, operation: "read address message", reason: "it holds no address")
    }
    do { address = try InterfaceAddress(address: value, prefixLength: prefixLength) } catch {
      throw NetworkError(.malformedMessage, operation: "read address message", reason: error.reason)
    }
    if let wide = try attributes[type: Int(IFA_FLAGS)]?.integer(UInt32.self) { flags = AddressFlags(rawValue: wide) }
    label = attributes[type: Int(IFA_LABEL)]?.string
    if let lifetimes = attributes[type: Int(IFA_CACHEINFO)] {
      var reader = PayloadReader(lifetimes.payload)
      preferredLifetime = AddressLifetime.duration(try reader.read())
      validLifetime = AddressLifetime.duration(try reader.read())
    }
  }
}

/// `IFA_F_*` of `linux/if_addr.h`.
public struct AddressFlags: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags from their bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// A further IPv4 address of a subnet, deleted with the first; for IPv6, a temporary one.
  public static let secondary = AddressFlags(rawValue: 0x01)
  /// It is used without duplicate address detection.
  public static let noDuplicateDetection = AddressFlags(rawValue: 0x02)
  /// It is used during duplicate address detection.
  public static let optimistic = AddressFlags(rawValue: 0x04)
  /// Another host has it, so it is not used (RFC 4862).
  public static let duplicateDetected = AddressFlags(rawValue: 0x08)
  /// Its preferred lifetime is over: new connections do not use it.
  public static let deprecated = AddressFlags(rawValue: 0x20)
  /// It is not used yet: duplicate address detection is in progress.
  public static let tentative = AddressFlags(rawValue: 0x40)
  /// Its lifetime has no end.
  public static let permanent = AddressFlags(rawValue: 0x80)
}

/// Optional properties of an address.
public struct AddressOptions: Hashable, Sendable {
  /// A label for old tools, IPv4 only: up to 15 bytes; nil for the link's name.
  public var label: String?
  /// The lifetime, in whole seconds from now; nil for permanent.
  public var validLifetime: Duration?
  /// The time in which new connections use it, in whole seconds from now; nil for as long as it is valid.
  public var preferredLifetime: Duration?
  /// Whether an IPv6 address undergoes duplicate address detection, which delays its use by a second (RFC 4862).
  public var detectsDuplicates = false

  /// Options of nothing, to be filled in.
  public init() {}

  /// Checks for values that the kernel would refuse or truncate.
  ///
  /// - Throws: `.invalidValue` naming value and rule.
  public func validate(for address: InterfaceAddress) throws(NetworkError) {
    let operation = "check options of address \(address)"
    if let label {
      guard address.family == .ipv4 else {
        throw .invalid(operation, "label \(quoted(label)): an IPv6 address has none; leave it out")
      }
      guard (1...15).contains(label.utf8.count) else {
        throw .invalid(operation, "label \(quoted(label)) has \(label.utf8.count) bytes; a label has 1 to 15")
      }
    }
    if let validLifetime { try AddressLifetime.check("valid", validLifetime, operation) }
    if let preferredLifetime {
      if preferredLifetime != .zero { try AddressLifetime.check("preferred", preferredLifetime, operation) }
      if let validLifetime, preferredLifetime > validLifetime {
        throw .invalid(
          operation,
          "the preferred lifetime, \(preferredLifetime), is longer than the valid one, \(validLifetime); it is at most that"
        )
      }
    }
  }
}

/// Lifetimes as the kernel counts them (`struct ifa_cacheinfo`): seconds, all ones for permanent.
enum AddressLifetime {
  static func duration(_ seconds: UInt32) -> Duration? { seconds == .max ? nil : .seconds(Int64(seconds)) }

  static func seconds(_ duration: Duration?) -> UInt32 {
    duration.map { UInt32(clamping: $0.components.seconds) } ?? .max
  }

  static func check(_ name: String, _ duration: Duration, _ operation: String) throws(NetworkError) {
    guard duration.components.attoseconds == 0, (1..<Int64(UInt32.max)).contains(duration.components.seconds) else {
      throw .invalid(
        operation, "the \(name) lifetime is \(duration); it is a whole number of seconds, 1 to \(UInt32.max - 1)")
    }
  }
}

/// Requests about addresses, as bytes.
public enum AddressRequests {
  /// Adds an address to a link; IPv6 without duplicate address detection, which would delay its use by a second.
  public static func add(
    _ address: InterfaceAddress, to link: Int32, options: AddressOptions = AddressOptions()
  ) -> NetlinkRequest {
    request(
      address, link, UInt16(RTM_NEWADDR), "RTM_NEWADDR", [.create, .exclusive], "add address \(address) to link",
      options)
  }

  /// Adds an address to a link, or changes the lifetimes of an existing one.
  public static func replace(
    _ address: InterfaceAddress, of link: Int32, options: AddressOptions = AddressOptions()
  ) -> NetlinkRequest {
    request(
      address, link, UInt16(RTM_NEWADDR), "RTM_NEWADDR", [.create, .replace], "set address \(address) of link", options)
  }

  /// Takes an address from a link.
  public static func remove(_ address: InterfaceAddress, from link: Int32) -> NetlinkRequest {
    request(address, link, UInt16(RTM_DELADDR), "RTM_DELADDR", [], "remove address \(address) from link")
  }

  /// Gets every address, or those of one link; to be dumped.
  public static func list(link: Int32 = 0) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(4)
    body.append(link)
    return NetlinkRequest(type: UInt16(RTM_GETADDR), body: body, name: "RTM_GETADDR", purpose: "list addresses")
  }

  private static func request(
    _ address: InterfaceAddress, _ link: Int32, _ type: UInt16, _ name: String, _ flags: MessageFlags,
    _ purpose: @autoclosure @escaping @Sendable () -> String,
    _ options: AddressOptions = AddressOptions()
  ) -> NetlinkRequest {
    var body = PayloadWriter(capacity: 64)
    body.append(address.family.rawValue)
    body.append(UInt8(address.prefixLength))
    body.append(UInt8(address.family == .ipv6 && !options.detectsDuplicates ? IFA_F_NODAD : 0))
    body.append(UInt8(0))  // RT_SCOPE_UNIVERSE
    body.append(link)
    body.attribute(Int(IFA_LOCAL), bytes: address.address.bytes)
    body.attribute(Int(IFA_ADDRESS), bytes: address.address.bytes)
    if let broadcast = address.subnet.broadcast {
      body.attribute(Int(IFA_BROADCAST), bytes: broadcast.bytes)
    }
    if let label = options.label { body.attribute(Int(IFA_LABEL), string: label) }
    if options.validLifetime != nil || options.preferredLifetime != nil {
      var lifetimes = PayloadWriter()
      lifetimes.append(AddressLifetime.seconds(options.preferredLifetime ?? options.validLifetime))
      lifetimes.append(AddressLifetime.seconds(options.validLifetime))
      lifetimes.appendZeros(8)  // when it was made and changed: the kernel's to say
      body.attribute(Int(IFA_CACHEINFO), bytes: lifetimes.bytes)
    }
    return NetlinkRequest(type: type, flags: flags, body: body, name: name, purpose: "\(purpose()) \(link)")
  }
}
