import Netlink
import NetworkPrimitives

/// The host's links and addresses, as they were listed together.
struct HostSnapshot: Sendable {
  /// The links, by name.
  var links: [String: LinkGlance] = [:]
  /// The addresses of all links.
  var addresses: [AssignedAddress] = []

  init(of host: NetworkNamespace) throws(NetworkError) {
    for link in try host.links.glances() { links[link.name] = link }
    addresses = try host.addresses.list()
  }
}
