import AdapterSupport
import ContainerNetworking
import FoundationEssentials

/// What podman says of a container on standard input, the same for setup and teardown.
struct Request {
  var containerID: String
  var containerName: String
  var ports: [PortMapping]
  /// The name servers that the container is to ask in place of its networks'.
  var dnsServers: [IPAddress]
  /// In the order of the list; of a map, in the order of their interfaces.
  var attachments: [Attachment]

  /// One network, and what the container asks for there.
  struct Attachment {
    var network: NetworkConfiguration
    var interface: InterfaceName
    var addresses: [IPAddress]
    var macAddress: MACAddress?
    var aliases: [String]
  }

  private static let operation = "read standard input"

  /// Reads the input.
  ///
  /// - Throws: `.invalidValue` with all that is wrong, `.unsupported` with all that cannot be done.
  init(_ input: [UInt8]) throws(NetworkError) {
    let json: JSON
    do { json = try JSONDecoder().decode(JSON.self, from: Data(input)) } catch {
      throw NetworkError(
        .invalidValue, operation: Self.operation, reason: "it is not JSON; it must be an object (\(error))")
    }
    guard json.fields != nil else {
      throw NetworkError(
        .invalidValue, operation: Self.operation, reason: "it is \(json.kind), but must be a JSON object")
    }
    var reader = FieldReader()
    containerID = reader.text("container_id", of: json) ?? ""
    containerName = reader.text("container_name", of: json) ?? ""
    if containerID.isEmpty { reader.fault("container_id", "it is missing; it is the id of the container") }
    ports = Self.ports(json, &reader)
    dnsServers = Self.addresses("dns_servers", of: json, at: "", &reader)
    let known = reader.object("network_info", of: json)?.fields ?? [:]
    attachments = []
    let wanted = Self.networks(json, &reader)
    for (name, options, place) in wanted {
      guard let info = known[name] else {
        reader.fault("network_info", "\"\(name)\" is missing, which networks has; both have the same")
        continue
      }
      guard info.fields != nil else {
        reader.fault("network_info.\(name)", "it is \(info.kind), but must be an object")
        continue
      }
      let network = NetworkConfiguration(name, info, &reader)
      if let attachment = Self.attachment(network, options, at: place, &reader) { attachments.append(attachment) }
    }
    for name in known.keys.sorted() where !wanted.contains(where: { $0.name == name }) {
      reader.fault("networks", "\"\(name)\" is missing, which network_info has; both have the same")
    }
    try reader.check(Self.operation)
  }

  /// Both forms: a map by the networks' names, which has no order, and a list.
  private static func networks(
    _ json: JSON, _ reader: inout FieldReader
  ) -> [(name: String, options: JSON, place: String)] {
    guard let value = json["networks"] else { return [] }
    if let list = value.list {
      return list.enumerated().compactMap { index, options in
        let place = "networks[\(index)]."
        guard options.fields != nil else {
          reader.fault("networks[\(index)]", "it is \(options.kind), but must be an object")
          return nil
        }
        let name = reader.text("network_name", of: options, at: place) ?? reader.text("name", of: options, at: place)
        guard let name, !name.isEmpty else {
          reader.fault("\(place)network_name", "it is missing; it names an entry of network_info")
          return nil
        }
        return (name, options, place)
      }
    }
    guard let fields = value.fields else {
      reader.fault("networks", "it is \(value.kind), but must be an object by networks' names, or a list")
      return []
    }
    return fields.map { ($0.key, $0.value, "networks.\($0.key).") }.sorted { left, right in
      let (a, b) = (left.1["interface_name"]?.text ?? "", right.1["interface_name"]?.text ?? "")
      return (a.utf8.count, a, left.0) < (b.utf8.count, b, right.0)
    }
  }

  private static func attachment(
    _ network: NetworkConfiguration, _ options: JSON, at place: String, _ reader: inout FieldReader
  ) -> Attachment? {
    guard options.fields != nil else {
      reader.fault(place, "it is \(options.kind), but must be an object")
      return nil
    }
    let interface = reader.value("interface_name", of: options, at: place) { (text) throws(NetworkError) in
      try InterfaceName(text)
    }
    if reader.text("interface_name", of: options, at: place)?.isEmpty ?? true {
      reader.fault("\(place)interface_name", "it is missing; it is the interface's name in the container, as in eth0")
    }
    var seen: Set<IPAddress> = []
    let addresses = addresses("static_ips", of: options, at: place, &reader).filter { seen.insert($0).inserted }
    let mac = reader.value("static_mac", of: options, at: place) { (text) throws(NetworkError) in try MACAddress(text) }
    let aliases = reader.list("aliases", of: options, at: place).compactMap(\.text)
    for (name, value) in reader.object("options", of: options, at: place)?.fields ?? [:] {
      if name == "host_interface_name" {
        reader.lack("\(place)options.\(name)", "the record names the host's end of an endpoint; leave it out")
      } else {
        reader.fault("\(place)options.\(name)", "there is no such option, and its value is \(value.plain)")
      }
    }
    guard let interface else { return nil }
    return Attachment(
      network: network, interface: interface, addresses: addresses, macAddress: mac, aliases: aliases)
  }

  private static func addresses(
    _ name: String, of json: JSON, at place: String, _ reader: inout FieldReader
  ) -> [IPAddress] {
    reader.list(name, of: json, at: place).enumerated().compactMap { index, value in
      let path = "\(place)\(name)[\(index)]"
      guard let text = value.text else {
        reader.fault(path, "it is \(value.kind), but must be a text, as in \"10.88.0.9\"")
        return nil
      }
      return reader.attempt(path) { () throws(NetworkError) in try IPAddress(text) }
    }
  }

  // MARK: - Ports

  private static func ports(_ json: JSON, _ reader: inout FieldReader) -> [PortMapping] {
    reader.list("port_mappings", of: json).enumerated().flatMap { index, mapping in
      ports(mapping, at: "port_mappings[\(index)].", &reader)
    }
  }

  /// A mapping of several protocols is one of each.
  private static func ports(_ mapping: JSON, at place: String, _ reader: inout FieldReader) -> [PortMapping] {
    let count = reader.faults.count
    let container = reader.number("container_port", of: mapping, at: place) ?? 0
    let host = reader.number("host_port", of: mapping, at: place) ?? 0
    let range = max(1, reader.number("range", of: mapping, at: place) ?? 1)
    let address = reader.value("host_ip", of: mapping, at: place) { (text) throws(NetworkError) in try IPAddress(text) }
    let text = reader.text("protocol", of: mapping, at: place) ?? ""
    if !(1...65_535).contains(container) {
      reader.fault("\(place)container_port", "it is \(container); a port is 1 to 65535")
    }
    if !(0...65_535).contains(host) {
      reader.fault("\(place)host_port", "it is \(host); a port is 1 to 65535, and 0 for one of the host's choice")
    }
    if range > 65_535 || container + range > 65_536 || host + range > 65_536 {
      reader.fault("\(place)range", "\(range) ports from \(max(container, host)) on exceed 65535, the last port")
    }
    guard reader.faults.count == count else { return [] }
    let transports = text.isEmpty ? ["tcp"] : text.split(separator: ",").map { $0.lowercased() }
    return transports.compactMap { transport in
      reader.attempt("\(place)protocol") { () throws(NetworkError) in
        try PortMapping(
          hostAddress: address,
          hostPorts: host == 0 ? nil : PortRange(UInt16(host), UInt16(host + range - 1)),
          containerPorts: PortRange(UInt16(container), UInt16(container + range - 1)),
          transport: TransportProtocol(transport))
      }
    }
  }
}
