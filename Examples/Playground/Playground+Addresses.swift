public import ContainerNetworking
import Glibc

/// Addresses of a world's cables. The kernel joins the multicast groups of IPv6 addresses in the background; on a busy
/// machine that is seconds after the link is up, and nobody answers to neighbour discovery until then. The flag of a
/// tentative address, of which no probe is sent, tells when it is done.
extension NetworkNamespace {
  /// Gives a link that is down its addresses.
  public func addAddresses(_ texts: [String], to link: Int32, named name: String) throws(NetworkError) {
    var options = AddressOptions()
    options.detectsDuplicates = true
    for text in texts {
      let address = try InterfaceAddress(text)
      guard address.address.family == .ipv6 else {
        try addresses.add(address, to: link)
        continue
      }
      try setSysctl("net/ipv6/conf/\(name)/dad_transmits", to: "0")
      try addresses.add(address, to: link, options: options)
    }
  }

  /// Waits until a link that is up answers for its IPv6 addresses, for at most a minute.
  public func awaitAddresses(of link: Int32) throws(NetworkError) {
    for _ in 0..<6_000 {
      if try addresses.list(link: link).allSatisfy({ !$0.flags.contains(.tentative) }) { return }
      usleep(10_000)
    }
  }
}
