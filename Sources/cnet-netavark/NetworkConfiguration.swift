import AdapterSupport
import ContainerNetworking

/// A network as podman describes it (`network_info`), which is what `podman network inspect` prints.
struct NetworkConfiguration {
  let name: String
  private(set) var wish = NetworkWish()
  /// Whether podman wants names answered.
  private(set) var servesNames = false
  /// The lower, the sooner the default route goes by it.
  private(set) var metric = Self.usualMetric
  private(set) var takesDefaultRoute = true

  /// The label of networks that podman has.
  static let label = "com.containernetworking.netavark"
  private static let usualMetric = 100

  private var options: NetworkOptions {
    get { wish.options }
    _modify { yield &wish.options }
  }

  init(_ name: String, _ json: JSON, _ reader: inout FieldReader) {
    self.name = name
    let place = "network_info.\(name)."
    if let own = reader.text("name", of: json, at: place), own != name {
      reader.fault("\(place)name", "it is \"\(own)\", and the key \"\(name)\"; they are the same")
    }
    readDriver(json, at: place, &reader)
    options.isInternal = reader.flag("internal", of: json, at: place) ?? false
    servesNames = reader.flag("dns_enabled", of: json, at: place) ?? false
    // A network whose containers podman tells nothing of us has no names.
    options.nameServing = servesNames ? nil : .off
    wish.said.insert(.nameServing)
    options.labels = (reader.object("labels", of: json, at: place)?.fields ?? [:]).mapValues(\.plain)
    options.labels[Self.label] = "true"
    readAddresses(json, at: place, &reader)
    readRoutes(json, at: place, &reader)
    for (index, value) in reader.list("network_dns_servers", of: json, at: place).enumerated() {
      let server = reader.attempt("\(place)network_dns_servers[\(index)]") { () throws(NetworkError) in
        try NameOptions.server(value.plain)
      }
      if let server { options.dnsServers.append(server) }
    }
    readOptions(json, at: place, &reader)
  }

  private mutating func readDriver(_ json: JSON, at place: String, _ reader: inout FieldReader) {
    let driver = reader.text("driver", of: json, at: place) ?? NetworkDriver.bridge.rawValue
    let known = NetworkDriver(driver)
    guard known == .bridge || known == .macvlan else {
      return reader.lack("\(place)driver", "the driver \"\(driver)\" is none of those taken here, bridge and macvlan")
    }
    options.driver = known
    let link = reader.value("network_interface", of: json, at: place) { (text) throws(NetworkError) in
      try InterfaceName(text)
    }
    if known == .bridge { options.bridge = link } else { options.parent = link }
    if link != nil { wish.said.insert(known == .bridge ? .bridge : .parent) }
  }

  // MARK: - Addresses

  private mutating func readAddresses(_ json: JSON, at place: String, _ reader: inout FieldReader) {
    let ipam = reader.object("ipam_options", of: json, at: place)
    if let driver = ipam?["driver"]?.text, !driver.isEmpty, driver != "host-local" {
      reader.lack(
        "\(place)ipam_options.driver",
        "\"\(driver)\" leaves addresses to other programs; networks of the record take host-local")
    }
    let subnets = reader.list("subnets", of: json, at: place)
    for (index, subnet) in subnets.enumerated() { readSubnet(subnet, at: "\(place)subnets[\(index)].", &reader) }
    if subnets.isEmpty { reader.fault("\(place)subnets", "there is none; write one, as in 10.88.0.0/16") }
    options.isIPv4Enabled = options.subnets.contains { $0.family == .ipv4 }
    options.isIPv6Enabled = options.subnets.contains { $0.family == .ipv6 }
  }

  private mutating func readSubnet(_ json: JSON, at place: String, _ reader: inout FieldReader) {
    let subnet = reader.value("subnet", of: json, at: place) { (text) throws(NetworkError) in try Subnet(text) }
    guard let subnet else {
      if json["subnet"]?.text?.isEmpty ?? true { reader.fault("\(place)subnet", "it is missing, as in 10.88.0.0/16") }
      return
    }
    guard options.subnets.allSatisfy({ $0.family != subnet.family }) else {
      return reader.lack(
        "\(place)subnet", "a network has one subnet of a family; make another network for \(subnet)")
    }
    options.subnets.append(subnet)
    let gateway = reader.value("gateway", of: json, at: place) { (text) throws(NetworkError) in try IPAddress(text) }
    if let gateway {
      options.gateways.append(gateway)
      wish.said.insert(.gateways)
    } else if options.isInternal, options.driver == .bridge {
      // No container can have an address there.
      if subnet.family == .ipv4 {
        options.policy.gatewayModeIPv4 = .isolated
      } else {
        options.policy.gatewayModeIPv6 = .isolated
      }
    }
    guard let range = reader.object("lease_range", of: json, at: place) else { return }
    let path = "\(place)lease_range."
    let start = reader.value("start_ip", of: range, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    let end = reader.value("end_ip", of: range, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    guard start != nil || end != nil else { return }
    let (from, to) = (start ?? subnet.first, end ?? subnet.last)
    guard let bounds = AddressBounds(from, to, in: subnet) else {
      return reader.fault(
        "\(path)start_ip", "\(from) to \(to) is not a range of \(subnet), from the lower to the higher")
    }
    // podman gives out addresses by itself; this is for who does not.
    if bounds.block != subnet { options.ipRanges.append(bounds.block) }
  }

  private mutating func readRoutes(_ json: JSON, at place: String, _ reader: inout FieldReader) {
    for (index, route) in reader.list("routes", of: json, at: place).enumerated() {
      let path = "\(place)routes[\(index)]."
      let destination = reader.value("destination", of: route, at: path) { (text) throws(NetworkError) in
        try Subnet(text)
      }
      let gateway = reader.value("gateway", of: route, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
      if let kind = reader.text("route_type", of: route, at: path), !kind.isEmpty, kind != "unicast" {
        reader.lack("\(path)route_type", "\"\(kind)\" is a route to nowhere; only unicast ones are made")
      }
      guard let destination else {
        reader.fault("\(path)destination", "it is missing, as in 10.90.0.0/24")
        continue
      }
      guard gateway != nil else {
        reader.fault("\(path)gateway", "it is missing; it is the next hop to \(destination)")
        continue
      }
      wish.routes.append((destination, gateway))
    }
  }

  // MARK: - Options

  private mutating func readOptions(_ json: JSON, at place: String, _ reader: inout FieldReader) {
    let said = reader.object("options", of: json, at: place)?.fields ?? [:]
    for (name, value) in said.sorted(by: { $0.key < $1.key }) where !value.plain.isEmpty {
      readOption(name, value.plain, at: "\(place)options.\(name)", &reader)
    }
  }

  private mutating func readOption(_ name: String, _ value: String, at path: String, _ reader: inout FieldReader) {
    switch name {
    case "mtu":
      guard let mtu = UInt32(value) else {
        return reader.fault(path, "\"\(value)\" is not a number of bytes, as in 1500")
      }
      guard mtu != 0 else { return }
      options.mtu = mtu
      wish.said.insert(.mtu)
    case "isolate":
      // Networks of the record are apart from each other in any case: strict is how they are.
      if !["true", "false", "strict"].contains(value) {
        reader.fault(path, "it is \"\(value)\"; it is true, false or strict")
      }
    case "metric":
      guard let metric = UInt32(value) else {
        return reader.fault(path, "\"\(value)\" is not a metric; it is 0 to \(UInt32.max), the lower the sooner")
      }
      self.metric = Int(metric)
    case "no_default_route":
      guard let flag = Self.flag(value) else { return reader.fault(path, "it is \"\(value)\"; it is true or false") }
      takesDefaultRoute = !flag
    case "mode": readMode(value, at: path, &reader)
    case "outbound_addr4", "outbound_addr6":
      let option = name == "outbound_addr4" ? "source-ipv4" : "source-ipv6"
      _ = reader.attempt(path) { () throws(NetworkError) in try options.setDriverOption(option, value) }
      options.driverOptions = [:]
    case "parent":
      options.parent = reader.attempt(path) { () throws(NetworkError) in try InterfaceName(value) }
      wish.said.insert(.parent)
    case "vlan":
      if value != "0" { reader.lack(path, "ports of our bridges carry no VLAN tags; make a network for each VLAN") }
    case "vrf": reader.lack(path, "no link of the host is put into a VRF; leave it out")
    case "bclim": reader.lack(path, "a macvlan's broadcasts have the kernel's own limit; leave it out")
    default:
      let known = "mtu, isolate, metric, no_default_route, mode, outbound_addr4, outbound_addr6"
      reader.fault(path, "there is no such option; there are: \(known)")
    }
  }

  private mutating func readMode(_ value: String, at path: String, _ reader: inout FieldReader) {
    guard options.driver == .macvlan else {
      switch value {
      case "managed": return
      case "unmanaged":
        return reader.lack(
          path, "an existing bridge is adopted for the network, and gets its rules; leave the mode out")
      default: return reader.fault(path, "it is \"\(value)\"; a bridge's mode is managed or unmanaged")
      }
    }
    _ = reader.attempt(path) { () throws(NetworkError) in try options.setDriverOption("macvlan-mode", value) }
    options.driverOptions = [:]
    wish.said.insert(.macvlanMode)
  }

  /// Go's `strconv.ParseBool`, by which podman checks it.
  private static func flag(_ text: String) -> Bool? {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": true
    case "0", "f", "F", "false", "FALSE", "False": false
    default: nil
    }
  }

  // MARK: - A container's endpoint

  /// Whether ports of a container can be published by it.
  var publishes: Bool { options.driver == .bridge && !options.isInternal }

  /// The lowest metric has the default route; of equals, the interface with the lowest number.
  func gatewayPriority(_ interface: InterfaceName) -> Int {
    let digits = interface.description.reversed().prefix { $0.isNumber }
    return (Self.usualMetric - metric) * 1_000 - min(999, Int(String(digits.reversed())) ?? 0)
  }
}
