public import NetworkPrimitives

/// A container's host name and name servers.
public struct NameOptions: Hashable, Sendable, Codable {
  /// Its host name, of one label or several (RFC 1123); nil for the first twelve digits of its id, in host mode for the
  /// host's.
  public var hostname: String?
  /// The domain of its host name (RFC 1123).
  public var domainname: String?
  /// Its name servers, which a network's own server also asks for it; empty for the network's, or the host's.
  public var dns: [IPAddress]
  /// The domains in which short names are looked up (`search`, resolv.conf(5)); empty for the host's, `.` alone for no
  /// domain.
  public var dnsSearch: [String]
  /// Options of the resolver (`options`, resolv.conf(5)): `ndots:2`; empty for the host's.
  public var dnsOptions: [String]
  /// Additional names in its hosts(5).
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
  /// Its address; nil for the host's in the container's network.
  public var address: IPAddress?

  /// Makes a line.
  public init(_ name: String, _ address: IPAddress?) {
    self.name = name
    self.address = address
  }

  /// Reads `NAME:IP`, `NAME=IP`, with `host-gateway` for the host's address, as `docker run --add-host` does. Brackets
  /// around an IPv6 address are allowed.
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

  /// The placeholder of the host's address.
  public static let hostGateway = "host-gateway"

  /// The text that ``init(_:)`` reads.
  public var description: String { "\(name):\(address.map(\.description) ?? Self.hostGateway)" }
}
