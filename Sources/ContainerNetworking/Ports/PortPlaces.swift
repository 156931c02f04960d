import NetworkPrimitives

/// The host addresses at which a network's ports can be served, by the kernel or by a forwarder.
struct PortPlaces {
  /// The families whose addresses the kernel translates.
  private var translated: Families
  /// The families whose containers are reached by their own addresses, without the host's.
  private var routed: Families
  /// Whether a forwarder serves the remaining addresses.
  var forwards: Bool

  init(translated: Set<AddressFamily>, routed: Set<AddressFamily> = [], forwards: Bool) {
    self.translated = Families(translated)
    self.routed = Families(routed)
    self.forwards = forwards
  }

  /// Some of the two families.
  private struct Families {
    private var ipv4 = false
    private var ipv6 = false
    init(_ families: some Sequence<AddressFamily>) { for family in families { insert(family) } }
    var isEmpty: Bool { !ipv4 && !ipv6 }
    func contains(_ family: AddressFamily) -> Bool { family == .ipv4 ? ipv4 : ipv6 }
    mutating func insert(_ family: AddressFamily) { if family == .ipv4 { ipv4 = true } else { ipv6 = true } }
  }

  /// The places of a network's endpoints.
  init(_ network: NetworkRecord, forwards: Bool) {
    (routed, translated) = (Families([]), Families([]))
    for subnet in network.subnets {
      let family = subnet.subnet.family
      if network.policy.gatewayMode(family) == .routed { routed.insert(family) } else { translated.insert(family) }
    }
    self.forwards = forwards
  }

  /// The addresses that serve a port requested at an address; nil for every address.
  func serve(_ hostAddress: IPAddress?) -> (translated: [IPAddress], forwarded: [IPAddress]) {
    let asked = hostAddress.map { [$0] } ?? AddressFamily.allCases.map { .any($0) }
    var places: (translated: [IPAddress], forwarded: [IPAddress]) = ([], [])
    for address in asked where !routed.contains(address.family) {
      if address.isIPv6Loopback || !translated.contains(address.family) {
        // A network that is only reached by its own addresses is not reached by the host's of another family either.
        if forwards, !translated.isEmpty { places.forwarded.append(address) }
      } else {
        places.translated.append(address)
        if forwards, address == .any(.ipv6) { places.forwarded.append(.loopback(.ipv6)) }
      }
    }
    return places
  }

  /// Whether a port requested at an address takes none of the host's: the containers are reached by their own
  /// addresses.
  func areRouted(_ hostAddress: IPAddress?) -> Bool {
    if translated.isEmpty { return !routed.isEmpty }
    let families = hostAddress.map { [$0.family] } ?? AddressFamily.allCases
    return families.allSatisfy { routed.contains($0) }
  }

  /// The reason why the host cannot serve a port at an address; nil if it can, or need not.
  func fault(at address: IPAddress, on network: NetworkRecord) -> String? {
    guard !routed.contains(address.family) else { return nil }
    let places = serve(address)
    guard places.translated.isEmpty, places.forwarded.isEmpty else { return nil }
    let remedy =
      "publish on another address, or on all; or run a forwarder (ControllerSettings.forwarder, cnet forward)"
    return translated.contains(address.family)
      ? "the kernel does not translate the host address \(address); \(remedy)"
      : "the host address \(address) is \(address.family), and network \"\(network.name)\" has no \(address.family); "
        + remedy
  }
}

extension IPAddress {
  /// `::1` is never routed (RFC 4291 2.5.3), unlike 127.0.0.0/8 with `route_localnet`, so traffic to it cannot be
  /// translated to a container.
  var isIPv6Loopback: Bool { family == .ipv6 && isLoopback }
}
