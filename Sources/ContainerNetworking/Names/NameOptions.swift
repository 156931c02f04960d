public import NetworkPrimitives

/// What a container is called, and whom it asks for names.
public struct NameOptions: Hashable, Sendable, Codable {
  /// Its host name, a label or several (RFC 1123); nil for the first twelve digits of its id, the host's in host mode.
  public var hostname: String?
  /// The domain of its host name (RFC 1123).
  public var domainname: String?
  /// The name servers that it asks, and that a network's own asks for it; none for the network's, or the host's.
  public var dns: [IPAddress]
  /// The domains that short names are looked up in (`search`, resolv.conf(5)); none for the host's, `.` alone for none
  /// at all.
  public var dnsSearch: [String]
  /// Options of the resolver (`options`, resolv.conf(5)): `ndots:2`; none for the host's.
  public var dnsOptions: [String]
  /// Names that its hosts(5) has besides its own.
  public var extraHosts: [ExtraHost]

  /// Makes options; each has a default.
  public init(
    hostname: String? = nil, domainname: String? = nil, dns: [IPAddress] = [], dnsSearch: [String] = [],
    dnsOptions: [String] = [], extraHosts: [ExtraHost] = []
  ) {
    self.hostname = hostname
    self.domainname = domainname
    self.dns = dns
    self.dnsSearch = dnsSearch
    self.dnsOptions = dnsOptions
    self.extraHosts = extraHosts
  }
}

/// A line of a container's hosts(5).
public struct ExtraHost: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The name.
  public var name: String
  /// Its address; nil for the host's, as the container's network has it.
  public var address: IPAddress?

  /// Makes a line.
  public init(_ name: String, _ address: IPAddress?) {
    self.name = name
    self.address = address
  }

  /// Reads `NAME:IP`, `NAME=IP`, with `host-gateway` for the host's address, as `docker run --add-host` does. An IPv6
  /// address may be in brackets.
  ///
  /// - Throws: `.invalidValue`.
  public init(_ text: String) throws(NetworkError) {
    let operation = "read host \(quoted(text))"
    guard let separator = text.firstIndex(where: { $0 == ":" || $0 == "=" }), separator > text.startIndex else {
      throw .invalid(operation, "it is not NAME:IP, as in db:192.168.50.9 or host:host-gateway")
    }
    var address = text[text.index(after: separator)...]
    if address.first == "[", address.last == "]" { address = address.dropFirst().dropLast() }
    do throws(NetworkError) {
      self.init(String(text[..<separator]), address == Self.hostGateway ? nil : try IPAddress(String(address)))
    } catch { throw .invalid(operation, error.reason + "; or write \(Self.hostGateway) for the host's") }
  }

  /// What stands for the host's address.
  public static let hostGateway = "host-gateway"

  /// The text that ``init(_:)`` reads.
  public var description: String { "\(name):\(address.map(\.description) ?? Self.hostGateway)" }
}
