public import Netlink
public import NetworkPrimitives

/// The host's links and addresses, as they were listed together.
public struct HostSnapshot: Sendable {
  /// The links, by name.
  var links: [String: LinkGlance] = [:]
  /// The addresses of all links.
  public var addresses: [AssignedAddress] = []

  /// The index of a link; nil if it is not there.
  public func index(ofLink name: InterfaceName) -> Int32? { links["\(name)"]?.index }

  /// Whether a link is there, and up.
  public func isUp(_ name: InterfaceName) -> Bool { links["\(name)"]?.flags.contains(.up) == true }

  init(links: [String: LinkGlance], addresses: [AssignedAddress]) {
    self.links = links
    self.addresses = addresses
  }

  init(of host: NetworkNamespace) throws(NetworkError) {
    for link in try host.links.glances() { links[link.name] = link }
    addresses = try host.addresses.list()
  }
}
