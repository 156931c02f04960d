public import NetworkPrimitives

/// The packet to trace: sender, receiver and kind.
public struct TraceRequest: Hashable, Sendable {
  /// One end of the path.
  public enum End: Hashable, Sendable, CustomStringConvertible {
    /// The host itself.
    case host
    /// An address; a container's or the host's address stands for its owner.
    case address(IPAddress)
    /// A container or, as a sender, a link of the host on which its packets arrive.
    case name(String)

    /// The written form.
    public var description: String {
      switch self {
      case .host: "host"
      case .address(let address): "\(address)"
      case .name(let name): name
      }
    }
  }

  /// The kind of packet.
  public enum Kind: Hashable, Sendable, CustomStringConvertible {
    /// The first packet of a TCP connection, to this port.
    case tcp(UInt16)
    /// A UDP datagram, to this port.
    case udp(UInt16)
    /// An ICMP or ICMPv6 echo request.
    case echo

    /// The form behind a receiver: `:80/tcp`, `/icmp`.
    public var description: String {
      switch self {
      case .tcp(let port): ":\(port)/tcp"
      case .udp(let port): ":\(port)/udp"
      case .echo: "/icmp"
      }
    }
  }

  /// The sender. A container or the host sends the packet itself; for any other sender, the trace waits for one.
  public var from: End
  /// The receiver.
  public var to: End
  /// The kind of packet.
  public var kind: Kind
  /// The limit for an answer, or for another sender's packet; 1 ms to an hour.
  public var timeout: Duration

  /// Makes a request; by default an answer has three seconds.
  public init(from: End, to: End, kind: Kind, timeout: Duration = .seconds(3)) {
    self.from = from
    self.to = to
    self.kind = kind
    self.timeout = timeout
  }

  /// Reads both ends: `web`, `host`, `203.0.113.9`, `eth0` and `web:80/tcp`, `[fd00::2]:53/udp`, `192.0.2.1/icmp`. A
  /// port without a protocol means TCP; no port means an echo.
  ///
  /// - Parameters:
  ///   - from: The sender.
  ///   - to: The receiver, port and protocol.
  ///   - timeout: The time limit.
  /// - Throws: `.invalidValue` naming the faulty part.
  public init(from: String, to: String, timeout: Duration = .seconds(3)) throws(NetworkError) {
    let operation = "read the packet to trace"
    try Self.check(timeout, operation)
    func fault(_ text: String, _ why: String) -> NetworkError {
      .invalid(
        operation, "\(quoted(text)) \(why); right are web:80/tcp, [fd00::2]:53/udp, 192.0.2.1/icmp and host:8080")
    }
    func end(_ text: String) throws(NetworkError) -> End {
      if text == "host" { return .host }
      if let address = try? IPAddress(text) { return .address(address) }
      do throws(NetworkError) { try Name.check(text, what: "container", operation: operation) } catch {
        throw fault(text, "is not a container, an address or a link")
      }
      return .name(text)
    }
    var rest = to[...]
    var transport: Substring?
    if let slash = rest.lastIndex(of: "/") {
      transport = rest[rest.index(after: slash)...]
      rest = rest[..<slash]
    }
    var port: Substring?
    if rest.hasPrefix("["), let close = rest.firstIndex(of: "]") {
      let behind = rest[rest.index(after: close)...]
      guard behind.isEmpty || behind.hasPrefix(":") else { throw fault(to, "has text after its closing bracket") }
      port = behind.isEmpty ? nil : behind.dropFirst()
      rest = rest[rest.index(after: rest.startIndex)..<close]
    } else if rest.count(where: { $0 == ":" }) == 1, let colon = rest.firstIndex(of: ":") {
      port = rest[rest.index(after: colon)...]
      rest = rest[..<colon]
    }
    let number = port.flatMap { UInt16($0) }
    if let port, number == nil || number == 0 { throw fault(to, "has the port \(quoted(String(port)))") }
    switch (transport?.lowercased(), number) {
    case (nil, let port?), ("tcp", let port?): kind = .tcp(port)
    case ("udp", let port?): kind = .udp(port)
    case (nil, nil), ("icmp", nil), ("icmpv6", nil): kind = .echo
    case ("tcp", nil), ("udp", nil): throw fault(to, "has no port")
    case ("icmp", _), ("icmpv6", _): throw fault(to, "has a port, and echoes have none")
    case (let other?, _): throw fault(to, "has the protocol \(quoted(other)), and there are tcp, udp and icmp")
    }
    self.from = try end(from)
    self.to = try end(String(rest))
    self.timeout = timeout
  }

  static func check(_ timeout: Duration, _ operation: String) throws(NetworkError) {
    guard (.milliseconds(1) ... .seconds(3_600)).contains(timeout) else {
      throw .invalid(operation, "the timeout is \(timeout.milliseconds) ms; it is 1 to 3600000 ms")
    }
  }
}
