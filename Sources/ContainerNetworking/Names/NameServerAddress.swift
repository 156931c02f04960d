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
          "it is known by the link \(quoted(String(text[text.index(after: zone)...]))), and a container has others than "
            + "the host; leave it to the host's resolv.conf, or name one with an address that is routed")
      }
      if let bare = withoutPort(text) {
        throw .invalid(operation, "servers are asked at port 53, resolv.conf(5) has no other; write \(bare)")
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
      return "the name server \(server) is no machine's own address; name one, as in 192.0.2.53"
    }
    // For IPv4, some clouds have their servers there, and route to them.
    if server.family == .ipv6, server.isLinkLocal {
      return "the name server \(server) is known by a link alone, and a container has others than the host; "
        + "name one with an address that is routed"
    }
    return nil
  }
}
