public import NetworkPrimitives

extension NetworkController {
  /// Changes the name servers that are asked for names outside a network, as ``NetworkOptions/dnsServers`` says them
  /// when it is made. Containers that are on it ask the new ones from then on.
  ///
  /// - Parameters:
  ///   - servers: The servers; none for the host's.
  ///   - network: The network, by name, id or unique id prefix.
  /// - Returns: The network as it is now.
  /// - Throws: `.notFound`; `.invalidValue` for an address that is no server's; `.refused` for a predefined network; `.inUse`
  ///   while others make or remove it; what kept a container's resolv.conf from being written.
  @discardableResult
  public func setDNSServers(_ servers: [IPAddress], of network: String) async throws(NetworkError) -> NetworkRecord {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.verb { () throws(NetworkError) in try engine.setDNSServers(servers, of: network) }
    }
  }
}
