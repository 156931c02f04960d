import AdapterSupport
import ContainerNetworking

extension NetworkDriverPlugin {
  /// The name of a network of Docker's in our record: its own name is not said to a driver.
  static func name(ofNetwork id: String) -> String { "docker-\(id.prefix(12))" }

  /// Reads the id of a network, as Docker makes it: hexadecimal digits.
  func networkID(_ json: JSON, _ reader: inout FieldReader) -> String { id("NetworkID", json, &reader) }

  /// Reads an id, which becomes a name of ours.
  func id(_ field: String, _ json: JSON, _ reader: inout FieldReader) -> String {
    let id = reader.text(field, of: json) ?? ""
    let isRight =
      (12...128).contains(id.utf8.count)
      && id.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
      }
    if !isRight { reader.fault(field, "\"\(id)\" is no id of Docker's, of letters and digits") }
    return id
  }

  func createNetwork(_ json: JSON) async throws(NetworkError) {
    let operation = "create a network for Docker"
    var reader = FieldReader()
    let id = networkID(json, &reader)
    var options = NetworkOptions()
    // Docker answers for names in its containers itself.
    options.nameServing = .off
    options.labels = [Self.label: id]
    let said = reader.object("Options", of: json) ?? .object([:])
    options.isInternal = reader.flag("com.docker.network.internal", of: said, at: "Options.") ?? false
    let generic = reader.object("com.docker.network.generic", of: said, at: "Options.")?.fields ?? [:]
    for (name, value) in generic.sorted(by: { $0.key < $1.key }) {
      _ = reader.attempt("Options.\(name)") { () throws(NetworkError) in
        try options.setDriverOption(name, value.plain)
      }
    }
    for field in ["IPv4Data", "IPv6Data"] {
      for (index, data) in reader.list(field, of: json).enumerated() {
        readPool(data, at: "\(field)[\(index)].", &options, &reader)
      }
    }
    options.isIPv4Enabled = options.subnets.contains { $0.family == .ipv4 } || options.subnets.isEmpty
    if options.driver != .bridge {
      reader.lack("Options.driver", "Docker has drivers of its own for others; this one makes bridge networks")
    }
    try reader.check(operation)
    try await controller.ensureNetwork(Self.name(ofNetwork: id), options: options)
  }

  private func readPool(_ data: JSON, at path: String, _ options: inout NetworkOptions, _ reader: inout FieldReader) {
    let pool = reader.value("Pool", of: data, at: path) { (text) throws(NetworkError) in try Subnet(text) }
    guard let pool else { return }
    guard options.subnets.allSatisfy({ $0.family != pool.family }) else {
      return reader.lack(path + "Pool", "a network has one subnet of a family; make another network for \(pool)")
    }
    options.subnets.append(pool)
    let gateway = reader.value("Gateway", of: data, at: path) { (text) throws(NetworkError) in
      try InterfaceAddress(text).address
    }
    if let gateway { options.gateways.append(gateway) }
    for (name, value) in reader.object("AuxAddresses", of: data, at: path)?.fields ?? [:] {
      let place = "\(path)AuxAddresses.\(name)"
      guard let text = value.text else {
        reader.fault(place, "it is \(value.kind), and has to be a text")
        continue
      }
      options.auxiliaryAddresses[name] = reader.attempt(place) { () throws(NetworkError) in
        try InterfaceAddress(text).address
      }
    }
  }

  func deleteNetwork(_ json: JSON) async throws(NetworkError) {
    var reader = FieldReader()
    let name = Self.name(ofNetwork: networkID(json, &reader))
    try reader.check("delete a network for Docker")
    do throws(NetworkError) {
      // Docker deletes no network that it has endpoints on: what is left was forgotten.
      let own = EndpointFilter(networks: [name], labels: [Self.label: name])
      let report = try await controller.keepOnly([], matching: own)
      if !report.failures.isEmpty {
        throw NetworkError(faults: report.failures, operation: "delete \(name)")
      }
      try await controller.removeNetwork(name)
    } catch { try error.rethrow(unless: .notFound) }
  }
}
