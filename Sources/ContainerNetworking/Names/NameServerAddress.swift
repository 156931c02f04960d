public import NetworkPrimitives

extension NameOptions {
  /// Reads the address of a name server, in the form of `--dns`.
  ///
  /// - Throws: `.invalidValue`; for an address with a zone or a port, the error says so.
  public static func server(_ text: String) throws(NetworkError) -> IPAddress {
    let operation = "read name server \(quoted(text))"
    let address: IPAddress
    do throws(NetworkError) { address = try IPAddress(text) } catch {
      if let zone = text.firstIndex(of: "%"), (try? IPAddress(String(text[..<zone]))) != nil {
        throw .invalid(
          operation,
          "its zone is the link \(quoted(String(text[text.index(after: zone)...]))) of the host, which a container "
            + "does not have; leave it to the host's resolv.conf, or name a server with a routed address")
      }
      if let bare = withoutPort(text) {
        throw .invalid(operation, "resolv.conf(5) has no port but 53; write \(bare)")
      }
      throw error
    }
    if let reason = fault(ofServer: address) { throw .invalid(operation, reason) }
    return address
  }

  /// The address in `192.0.2.53:53` and `[2001:db8::53]:53`.
  private static func withoutPort(_ text: String) -> IPAddress? {
    guard let colon = text.lastIndex(of: ":"), UInt16(text[text.index(after: colon)...]) != nil else { return nil }
    let address = text[..<colon]
    guard address.first == "[", address.last == "]" else { return (try? IPv4Address(String(address))).map { .v4($0) } }
    return try? IPAddress(String(address.dropFirst().dropLast()))
  }

  /// The reason why an address cannot be a name server's; nil if it can.
  static func fault(ofServer server: IPAddress) -> String? {
    if server.isUnspecified || server.isMulticast {
      return "the name server \(server) is not an address of a single machine; name one, as in 192.0.2.53"
    }
    // For IPv4, some clouds have their servers there, and route to them.
    if server.family == .ipv6, server.isLinkLocal {
      return "the name server \(server) is a link-local address, which is valid on a link of the host alone; "
        + "name a server with a routed address"
    }
    return nil
  }
}
