public import NetworkPrimitives

/// A request to publish ports of a container on its host.
public struct PortMapping: Hashable, Sendable, Codable {
  /// The address of the host to listen on; nil for all, IPv4 and IPv6.
  public var hostAddress: IPAddress?
  /// The host's ports: as many as the container's, or more, of which one is picked for a single container port. Nil to
  /// pick from the host's ephemeral range.
  public var hostPorts: PortRange?
  /// The container's ports.
  public var containerPorts: PortRange
  /// TCP by default.
  public var transport: TransportProtocol

  /// Makes a mapping.
  ///
  /// - Throws: `.invalidValue` when the ranges have different lengths and there is more than one container port, and
  ///   for a multicast host address or 255.255.255.255.
  public init(
    hostAddress: IPAddress? = nil, hostPorts: PortRange? = nil, containerPorts: PortRange,
    transport: TransportProtocol = .tcp
  ) throws(NetworkError) {
    if let hostPorts, containerPorts.count > 1, hostPorts.count != containerPorts.count {
      throw NetworkError(
        .invalidValue, operation: "publish ports",
        reason:
          "\(hostPorts) has \(counted(hostPorts.count, "port")) and \(containerPorts) has \(containerPorts.count); "
          + "ranges must be equally long, as in 8000-8002:80-82")
    }
    if let reason = hostAddress?.publishFault {
      throw NetworkError(.invalidValue, operation: "publish ports", reason: reason)
    }
    self.hostAddress = hostAddress
    self.hostPorts = hostPorts
    self.containerPorts = containerPorts
    self.transport = transport
  }

  /// Reads `[hostIP:][hostPort[-range]:]containerPort[-range][/tcp|udp|sctp]`, an IPv6 host address in brackets.
  ///
  /// Without a host port one is picked; without a host address every address of the host is used.
  ///
  /// - Throws: `.invalidValue` naming the faulty part.
  public init(_ text: String) throws(NetworkError) {
    var rest = text[...]
    var transport = TransportProtocol.tcp
    if let slash = rest.lastIndex(of: "/") {
      transport = try TransportProtocol(String(rest[rest.index(after: slash)...]))
      rest = rest[..<slash]
    }
    var fields: [Substring] = []
    var address: IPAddress?
    if rest.hasPrefix("[") {
      guard let close = rest.firstIndex(of: "]"), rest[close...].hasPrefix("]:") else {
        throw Self.malformed(text, "the address in brackets is not closed by \"]:\"")
      }
      address = .v6(try IPv6Address(String(rest[rest.index(after: rest.startIndex)..<close])))
      rest = rest[rest.index(close, offsetBy: 2)...]
      fields = rest.split(separator: ":", omittingEmptySubsequences: false)
    } else {
      fields = rest.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count == 3 || fields.count == 2 && fields[0].contains(".") {
        address = try Self.hostAddress(fields.removeFirst(), of: text)
      } else if fields.count > 3 {
        throw Self.malformed(text, "\(fields.count) fields are separated by \":\"; an IPv6 address is in brackets")
      }
    }
    guard fields.count <= 2, let container = fields.last, !container.isEmpty else {
      throw Self.malformed(text, "\(fields.count) fields are separated by \":\"")
    }
    let host = fields.count == 2 && !fields[0].isEmpty ? try PortRange(String(fields[0])) : nil
    try self.init(
      hostAddress: address, hostPorts: host, containerPorts: try PortRange(String(container)), transport: transport)
  }

  private static func hostAddress(_ field: Substring, of text: String) throws(NetworkError) -> IPAddress {
    do throws(NetworkError) { return try IPAddress(String(field)) } catch {
      throw malformed(
        text, "the first of three fields is an address of the host, and \(quoted(String(field))) is not an address")
    }
  }

  private static func malformed(_ text: String, _ why: String) -> NetworkError {
    NetworkError(
      .invalidValue, operation: "read port mapping \"\(text)\"",
      reason: "\(why); right are 80, 8080:80, 127.0.0.1:8080:80/udp and [::1]:8080:80")
  }
}

extension PortMapping: CustomStringConvertible {
  /// The written form: `[::]:8080:80/udp`.
  public var description: String {
    var text = ""
    if let hostAddress { text += hostAddress.family == .ipv6 ? "[\(hostAddress)]:" : "\(hostAddress):" }
    if let hostPorts { text += "\(hostPorts):" } else if hostAddress != nil { text += ":" }
    return text + "\(containerPorts)/\(transport)"
  }
}

extension IPAddress {
  /// The reason why no host can publish at an address; nil if one can.
  var publishFault: String? {
    guard isMulticast || v4?.rawValue == .max else { return nil }
    return
      "the host address \(self) is a \(isMulticast ? "multicast" : "broadcast") address, which is not one of a single "
      + "host; name an address of the host's own, as in 127.0.0.1"
  }
}
