import AdapterSupport
import ContainerNetworking
import FoundationEssentials

/// The standard input from a runtime: the plugin's part of a network's configuration list, with the runtime's
/// additions.
struct Configuration: Sendable {
  /// The called plugin, by its type: this program implements several.
  enum Kind: String, Sendable, CaseIterable {
    /// A network of the record, with any driver.
    case containernetworking
    /// The same, with the fields of the plugin of that name.
    case bridge
    case macvlan
    /// Publishes ports for an earlier plugin of the list.
    case portmap
    /// Does nothing: a network's policy defines its permitted traffic.
    case firewall
    /// Sets sysctls and the MTU of an interface.
    case tuning
    /// Brings `lo` up.
    case loopback
  }

  var version: SpecVersion
  var name: String
  var kind: Kind
  var json: JSON
  /// The result of the earlier plugins of the list.
  var previous: JSON?

  /// Reads the input.
  ///
  /// - Throws: `undecodable`, `incompatibleVersion`, `invalidConfiguration`.
  init(_ input: [UInt8], verb: Invocation.Verb) throws(CNIError) {
    do { json = try JSONDecoder().decode(JSON.self, from: Data(input)) } catch {
      throw CNIError(.undecodable, "standard input is not a JSON object", details: "\(error)")
    }
    guard json.fields != nil else {
      throw CNIError(.undecodable, "standard input is \(json.kind), but must be a JSON object")
    }
    var reader = FieldReader()
    let version = reader.text("cniVersion", of: json)
    name = reader.text("name", of: json) ?? ""
    let type = reader.text("type", of: json) ?? ""
    previous = reader.object("prevResult", of: json)
    try reader.check()
    self.version = try version.map { (text) throws(CNIError) in try SpecVersion(text) } ?? .unsaid
    guard let kind = Kind(rawValue: type) else {
      let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw CNIError(.invalidConfiguration, "type \"\(type)\" is not one of this plugin: \(known)")
    }
    self.kind = kind
    guard self.version >= verb.since else {
      throw CNIError(
        .incompatibleVersion,
        "\(verb.rawValue) is of version \(verb.since.rawValue) and later, and the configuration of \(self.version.rawValue)"
      )
    }
    // STATUS alone concerns no network.
    guard !name.isEmpty || verb == .status else {
      throw CNIError(.invalidConfiguration, "name: it is missing; it names the network")
    }
  }

  /// The directory of the record; nil to use the environment's.
  var stateDirectory: String? { json["stateDir"]?.text }
}

/// A runtime's additions for one container, by the capabilities in the plugin's configuration (the conventions of the
/// CNI project).
struct RuntimeConfiguration: Sendable {
  var ports: [PortMapping] = []
  var addresses: [IPAddress] = []
  var macAddress: MACAddress?
  var aliases: [String] = []
  /// The result's DNS field: the runtime's, else the configuration's.
  var dns: JSON = .object([:])

  init(_ configuration: Configuration, _ arguments: CNIArguments) throws(CNIError) {
    var reader = FieldReader()
    let json = configuration.json
    let runtime = reader.object("runtimeConfig", of: json) ?? .object([:])
    let path = "runtimeConfig."
    for (index, mapping) in reader.list("portMappings", of: runtime, at: path).enumerated() {
      if let port = Self.port(mapping, at: "\(path)portMappings[\(index)].", &reader) { ports.append(port) }
    }
    for (index, text) in reader.list("ips", of: runtime, at: path).enumerated() {
      let place = "\(path)ips[\(index)]"
      guard let text = text.text else {
        reader.fault(place, "it is \(text.kind), but must be a text, as in \"10.88.0.9/16\"")
        continue
      }
      if let address = reader.attempt(place, { () throws(NetworkError) in try Self.address(text) }) {
        addresses.append(address)
      }
    }
    // The configuration's own form, for runtimes that pass no capability.
    let own = reader.object("args", of: json).flatMap { $0["cni"] } ?? .object([:])
    for text in own["ips"]?.list?.compactMap(\.text) ?? [] {
      if let address = reader.attempt("args.cni.ips", { () throws(NetworkError) in try Self.address(text) }) {
        addresses.append(address)
      }
    }
    if let address = arguments.address { addresses.append(address) }
    // A runtime says one twice: of its own, and of what it knows that the container had.
    var seen: Set<IPAddress> = []
    addresses = addresses.filter { seen.insert($0).inserted }
    macAddress =
      reader.value("mac", of: runtime, at: path) { (text) throws(NetworkError) in try MACAddress(text) }
      ?? reader.value("mac", of: json) { (text) throws(NetworkError) in try MACAddress(text) } ?? arguments.macAddress
    // A list or, from podman, a list for each network.
    let aliases = runtime["aliases"].flatMap { $0[configuration.name] ?? $0 }?.list ?? []
    self.aliases = aliases.compactMap(\.text)
    if let name = arguments.podName, !self.aliases.contains(name) { self.aliases.append(name) }
    if runtime["bandwidth"] != nil {
      reader.lack("runtimeConfig.bandwidth", "this plugin shapes no traffic; leave it to a plugin that does")
    }
    if runtime["ipRanges"] != nil {
      reader.lack(
        "runtimeConfig.ipRanges", "a network keeps the ranges that it was made with; write them in ipam.ranges")
    }
    if let said = reader.object("dns", of: json) { dns = said }
    if let said = reader.object("dns", of: runtime, at: path), said.fields?.isEmpty == false {
      dns = .compact([
        "nameservers": said["servers"] ?? said["nameservers"], "search": said["searches"] ?? said["search"],
        "options": said["options"], "domain": said["domain"],
      ])
    }
    try reader.check()
  }

  private static func address(_ text: String) throws(NetworkError) -> IPAddress {
    try IPAddress(String(text.prefix { $0 != "/" }))
  }

  private static func port(_ mapping: JSON, at path: String, _ reader: inout FieldReader) -> PortMapping? {
    let count = reader.faults.count
    let host = reader.number("hostPort", of: mapping, at: path)
    let container = reader.number("containerPort", of: mapping, at: path)
    let transport =
      reader.value("protocol", of: mapping, at: path) { (text) throws(NetworkError) in
        try TransportProtocol(text.lowercased())
      } ?? .tcp
    let address = reader.value("hostIP", of: mapping, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    guard let container, (1...65_535).contains(container) else {
      reader.fault("\(path)containerPort", "it is \(container.map(String.init) ?? "missing"); a port is 1 to 65535")
      return nil
    }
    guard (0...65_535).contains(host ?? 0) else {
      reader.fault("\(path)hostPort", "it is \(host ?? 0); a port is 1 to 65535, and 0 for one of the host's choice")
      return nil
    }
    guard reader.faults.count == count else { return nil }
    // The runtimes' word for every address.
    let everywhere = address.map { $0.isUnspecified && $0.family == .ipv4 } ?? true
    return reader.attempt(path) { () throws(NetworkError) in
      try PortMapping(
        hostAddress: everywhere ? nil : address,
        hostPorts: host == nil || host == 0 ? nil : PortRange(UInt16(host ?? 0)),
        containerPorts: PortRange(UInt16(container)), transport: transport)
    }
  }
}
