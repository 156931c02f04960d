import NetworkPrimitives

/// Changes the servers that the containers of a network ask for other names.
extension Engine {
  func setDNSServers(_ servers: [IPAddress], of name: String) throws(NetworkError) -> NetworkRecord {
    let operation = "set name servers of network \"\(name)\""
    let faults = servers.compactMap { NameOptions.fault(ofServer: $0) }
    if !faults.isEmpty { throw .invalid(operation, faults.joined(separator: "; ")) }
    let (network, sandboxes) = try transaction { (transaction) throws(NetworkError) in
      var network = try readyNetwork(name, operation, transaction.state)
      guard !network.isPredefined else {
        throw NetworkError(
          .refused, operation: operation,
          reason:
            "\"\(network.name)\" is predefined, and its containers use the host's name servers; make another network")
      }
      network.dnsServers = servers.isEmpty ? nil : servers
      transaction.save(.network(network))
      return (network, Set(transaction.state.endpoints(ofNetwork: network.id).map(\.sandboxID)))
    }
    var failures: [NetworkError] = []
    // Where the network has no server of its own, its containers' files name these.
    for id in sandboxes.sorted() {
      failures += attempt { () throws(NetworkError) in try refreshFiles(ofSandbox: id) }
    }
    try failures.throwLeftovers(operation)
    return network
  }
}
