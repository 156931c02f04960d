import AdapterSupport
import ContainerNetworking

/// The network fields of a configuration, as options of a network of the record.
struct NetworkFields {
  private(set) var wish = NetworkWish()

  private var options: NetworkOptions {
    get { wish.options }
    _modify { yield &wish.options }
  }

  /// The label of networks that this plugin creates.
  static let label = "com.containernetworking.cni"

  init(_ configuration: Configuration) throws(CNIError) {
    var reader = FieldReader()
    let json = configuration.json
    // A runtime has its own name resolution and files; options.names selects ours.
    options.nameServing = .off
    options.labels[Self.label] = "true"
    switch configuration.kind {
    case .macvlan: options.driver = .macvlan
    case .containernetworking:
      options.driver = NetworkDriver(reader.text("driver", of: json) ?? NetworkDriver.bridge.rawValue)
    default: break
    }
    readLinks(json, configuration.kind, &reader)
    readAddresses(json, &reader)
    if configuration.kind == .containernetworking {
      options.isInternal = reader.flag("internal", of: json) ?? false
      for (name, value) in (reader.object("options", of: json)?.fields ?? [:]).sorted(by: { $0.key < $1.key }) {
        _ = reader.attempt("options.\(name)") { () throws(NetworkError) in
          try options.setDriverOption(name, value.plain)
        }
      }
      for (name, value) in reader.object("labels", of: json)?.fields ?? [:] { options.labels[name] = value.plain }
    } else {
      options.policy.masquerades = reader.flag("ipMasq", of: json) ?? false
    }
    try reader.check()
  }

  private mutating func readLinks(_ json: JSON, _ kind: Configuration.Kind, _ reader: inout FieldReader) {
    if let mtu = reader.number("mtu", of: json), mtu != 0 {
      if let mtu = UInt32(exactly: mtu) {
        options.mtu = mtu
      } else {
        reader.fault("mtu", "\(mtu) is not a number of bytes")
      }
      wish.said.insert(.mtu)
    }
    if options.driver == .macvlan || options.driver == .ipvlan {
      options.parent = reader.value("master", of: json) { (text) throws(NetworkError) in try InterfaceName(text) }
      if options.parent != nil { wish.said.insert(.parent) }
      if let mode = reader.text("mode", of: json), !mode.isEmpty {
        _ = reader.attempt("mode") { () throws(NetworkError) in
          try options.setDriverOption("\(options.driver)-mode", mode)
        }
        if options.driver == .macvlan { options.driverOptions = [:] }
      }
      return
    }
    options.bridge = reader.value("bridge", of: json) { (text) throws(NetworkError) in try InterfaceName(text) }
    if kind == .bridge {
      if options.bridge == nil { options.bridge = try? InterfaceName("cni0") }
      let isGateway = reader.flag("isGateway", of: json) ?? false
      let isDefault = reader.flag("isDefaultGateway", of: json) ?? false
      if !isGateway, !isDefault {
        // A switch only: the host has no address on it, and nothing leaves it.
        options.isInternal = true
        options.policy.gatewayModeIPv4 = .isolated
        options.policy.gatewayModeIPv6 = .isolated
      }
      if reader.number("vlan", of: json).map({ $0 != 0 }) == true || !reader.list("vlanTrunk", of: json).isEmpty {
        reader.lack("vlan", "ports of our bridges carry no VLAN tags; make a network for each VLAN")
      }
      if reader.flag("disableContainerInterface", of: json) == true {
        reader.lack("disableContainerInterface", "an endpoint's interface is always up")
      }
      if reader.flag("portIsolation", of: json) == true { options.policy.allowsContainerTraffic = false }
    }
    if options.bridge != nil { wish.said.insert(.bridge) }
  }

  // MARK: - Addresses

  private mutating func readAddresses(_ json: JSON, _ reader: inout FieldReader) {
    let path = "ipam."
    guard let ipam = reader.object("ipam", of: json), let type = reader.text("type", of: ipam, at: path) else { return }
    guard type == "host-local" || type == "containernetworking" else {
      return reader.lack(
        "ipam.type", "\"\(type)\" gives out addresses of its own; this plugin takes host-local's fields")
    }
    var ranges: [(JSON, String)] = []
    for (index, set) in reader.list("ranges", of: ipam, at: path).enumerated() {
      let place = "ipam.ranges[\(index)]"
      guard let set = set.list else {
        reader.fault(place, "it is \(set.kind), but must be a list of ranges")
        continue
      }
      if set.count > 1 {
        reader.lack(place, "a network has one range of a family; leave the first, or write their union")
      }
      if let first = set.first { ranges.append((first, place + "[0].")) }
    }
    if ipam["subnet"] != nil { ranges.append((ipam, path)) }
    for (range, place) in ranges { readRange(range, at: place, &reader) }
    for (index, route) in reader.list("routes", of: ipam, at: path).enumerated() {
      let place = "ipam.routes[\(index)]."
      let destination = reader.value("dst", of: route, at: place) { (text) throws(NetworkError) in try Subnet(text) }
      let gateway = reader.value("gw", of: route, at: place) { (text) throws(NetworkError) in try IPAddress(text) }
      guard let destination else { continue }
      if destination.prefixLength > 0 {
        wish.routes.append((destination, gateway))
      } else if options.isInternal {
        reader.lack(
          place + "dst", "nothing leaves a network whose bridge is not a gateway; set isGateway, or leave it out")
      }
    }
  }

  private mutating func readRange(_ range: JSON, at path: String, _ reader: inout FieldReader) {
    let subnet = reader.value("subnet", of: range, at: path) { (text) throws(NetworkError) in
      // As in host-local, the address may have host bits.
      let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
      guard parts.count == 2, let length = Int(parts[1]) else { return try Subnet(text) }
      return try Subnet(containing: try IPAddress(parts[0]), prefixLength: length)
    }
    guard let subnet else {
      if range["subnet"] == nil { reader.fault(path + "subnet", "it is missing; write one, as in 10.88.0.0/16") }
      return
    }
    guard options.subnets.allSatisfy({ $0.family != subnet.family }) else {
      return reader.lack(path + "subnet", "a network has one subnet of a family; make another network for \(subnet)")
    }
    options.subnets.append(subnet)
    if subnet.family == .ipv6 { options.isIPv6Enabled = true }
    let gateway = reader.value("gateway", of: range, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    if gateway != nil { wish.said.insert(.gateways) }
    // As host-local: the subnet's first address, wherever the range is.
    if options.policy.gatewayMode(subnet.family) != .isolated, let gateway = gateway ?? subnet.address(at: 1) {
      options.gateways.append(gateway)
    }
    let start = reader.value("rangeStart", of: range, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    let end = reader.value("rangeEnd", of: range, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    guard start != nil || end != nil else { return }
    let bounds = AddressBounds(start ?? subnet.first, end ?? subnet.last, in: subnet)
    guard let bounds else {
      let (from, to) = (start ?? subnet.first, end ?? subnet.last)
      return reader.fault(
        path + "rangeStart", "\(from) to \(to) is not a range of \(subnet), from the lower to the higher")
    }
    guard let spare = bounds.spare else {
      return reader.lack(
        path + "rangeStart",
        "\(bounds.start) to \(bounds.end) is not a block; write one, as in \(bounds.block.first) to "
          + "\(bounds.block.last)"
      )
    }
    if bounds.block != subnet { options.ipRanges.append(bounds.block) }
    wish.said.insert(.ipRanges)
    for address in spare where !options.gateways.contains(address) {
      options.auxiliaryAddresses["outside-\(address)"] = address
    }
  }
}
