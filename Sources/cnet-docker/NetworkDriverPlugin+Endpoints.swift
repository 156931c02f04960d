import AdapterSupport
import ContainerNetworking

extension NetworkDriverPlugin {
  /// The network and the endpoint of a request; an endpoint's name is its id.
  private func places(_ json: JSON, _ reader: inout FieldReader) -> (network: String, endpoint: String) {
    (Self.name(ofNetwork: networkID(json, &reader)), id("EndpointID", json, &reader))
  }

  private func places(_ json: JSON, _ operation: String) throws(NetworkError) -> (network: String, endpoint: String) {
    var reader = FieldReader()
    let places = places(json, &reader)
    try reader.check(operation)
    return places
  }

  func createEndpoint(_ json: JSON) async throws(NetworkError) -> JSON {
    var reader = FieldReader()
    let (network, name) = places(json, &reader)
    let interface = reader.object("Interface", of: json) ?? .object([:])
    var options = EndpointOptions(labels: [Self.label: network])
    for field in ["Address", "AddressIPv6"] {
      let address = reader.value(field, of: interface, at: "Interface.") { (text) throws(NetworkError) in
        try InterfaceAddress(text).address
      }
      if let address { options.addresses.append(address) }
    }
    let mac = reader.value("MacAddress", of: interface, at: "Interface.") { (text) throws(NetworkError) in
      try MACAddress(text)
    }
    options.macAddress = mac
    try reader.check("create an endpoint for Docker")
    let endpoint = try await ensureEndpoint(name, on: network, options)
    // Docker refuses an answer to what it has said itself.
    let answer: JSON = .compact([
      "Address": interface["Address"]?.text?.isEmpty ?? true ? endpoint.address(.ipv4).map { .describing($0) } : nil,
      "AddressIPv6": interface["AddressIPv6"]?.text?.isEmpty ?? true
        ? endpoint.address(.ipv6).map { .describing($0) } : nil,
      "MacAddress": mac == nil ? .describing(endpoint.macAddress) : nil,
    ])
    return .object(["Interface": answer])
  }

  /// Creates the endpoint, unless Docker says it again. Docker gives out the addresses: a holder of one is an endpoint that
  /// it has forgotten.
  private func ensureEndpoint(
    _ name: String, on network: String, _ options: EndpointOptions
  ) async throws(NetworkError) -> Endpoint {
    var attempt = 0
    while true {
      attempt += 1
      do throws(NetworkError) {
        return try await controller.createEndpoint(name, on: network, options: options)
      } catch {
        let all = try await controller.inspect(network).endpoints
        if error.code == .alreadyExists, let known = all.first(where: { $0.container == name }),
          options.addresses.allSatisfy({ address in known.addresses.contains { $0.address == address } })
        {
          return known
        }
        let stale = all.first { other in
          other.labels?[Self.label] == network && other.container != name
            && other.addresses.contains { options.addresses.contains($0.address) }
        }
        guard error.code == .inUse, attempt < 3, let stale else { throw error }
        try await controller.deleteEndpoint(stale.container)
      }
    }
  }

  func endpointInformation(_ json: JSON) async throws(NetworkError) -> JSON {
    let (network, name) = try places(json, "tell Docker of an endpoint")
    guard let endpoint = try await controller.inspect(network).endpoints.first(where: { $0.container == name }) else {
      throw NetworkError(
        .notFound, operation: "tell Docker of an endpoint", reason: "there is no endpoint \(name) on \(network)")
    }
    return .object(["Value": .object(["com.docker.network.endpoint.macaddress": .describing(endpoint.macAddress)])])
  }

  func join(_ json: JSON) async throws(NetworkError) -> JSON {
    let (network, name) = try places(json, "join an endpoint for Docker")
    let endpoint: Endpoint
    do throws(NetworkError) { endpoint = try await controller.joinEndpoint(name) } catch {
      guard error.code == .alreadyExists else { throw error }
      // Docker says it again, or has lost the sandbox that it had said it for.
      try await settled { [controller] () throws(NetworkError) in _ = try await controller.leaveEndpoint(name) }
      endpoint = try await controller.joinEndpoint(name)
    }
    let record = try await controller.network(network)
    let prefix = record.interfacePrefix
    return .compact([
      "InterfaceName": .object(["SrcName": .describing(endpoint.interface), "DstPrefix": .text(prefix)]),
      "Gateway": endpoint.gateways.first { $0.family == .ipv4 }.map { .describing($0) },
      "GatewayIPv6": endpoint.gateways.first { $0.family == .ipv6 }.map { .describing($0) },
      // Without a gateway Docker would put the container on a network of its own.
      "DisableGatewayService": .flag(endpoint.gateways.isEmpty),
    ])
  }

  func leave(_ json: JSON) async throws(NetworkError) {
    let (_, name) = try places(json, "leave an endpoint for Docker")
    try await settled { [controller] () throws(NetworkError) in
      do throws(NetworkError) { try await controller.leaveEndpoint(name) } catch {
        try error.rethrow(unless: .notFound)
      }
    }
  }

  func deleteEndpoint(_ json: JSON) async throws(NetworkError) {
    let (_, name) = try places(json, "delete an endpoint for Docker")
    try await settled { [controller] () throws(NetworkError) in _ = try await controller.deleteEndpoint(name) }
  }

  /// Calls again while a repair is at the same endpoint.
  private func settled(_ body: () async throws(NetworkError) -> Void) async throws(NetworkError) {
    for _ in 0..<100 {
      do throws(NetworkError) { return try await body() } catch { try error.rethrow(unless: .inUse) }
      try? await Task.sleep(for: .milliseconds(20))
    }
    try await body()
  }

  // MARK: - Ports

  func publish(_ json: JSON) async throws(NetworkError) {
    let operation = "publish ports for Docker"
    var reader = FieldReader()
    let (network, name) = places(json, &reader)
    let options = reader.object("Options", of: json) ?? .object([:])
    var ports: [PortMapping] = []
    let path = "Options.com.docker.network.portmap"
    for (index, mapping) in reader.list("com.docker.network.portmap", of: options, at: "Options.").enumerated() {
      if let port = port(mapping, at: "\(path)[\(index)].", &reader) { ports.append(port) }
    }
    try reader.check(operation)
    guard !ports.isEmpty else { return }
    // Said again after a lost answer, everything is as now.
    try await release(name, on: network)
    try await controller.publish(ports, of: name, on: network)
  }

  func unpublish(_ json: JSON) async throws(NetworkError) {
    let (network, name) = try places(json, "release ports for Docker")
    try await release(name, on: network)
  }

  private func release(_ name: String, on network: String) async throws(NetworkError) {
    try await settled { [controller] () throws(NetworkError) in
      do throws(NetworkError) { try await controller.unpublish(of: name, on: network) } catch {
        try error.rethrow(unless: .notFound)
      }
    }
  }

  private func port(_ mapping: JSON, at path: String, _ reader: inout FieldReader) -> PortMapping? {
    let number = reader.number("Proto", of: mapping, at: path) ?? 6
    guard let transport = UInt8(exactly: number).flatMap({ TransportProtocol(number: $0) }) else {
      reader.fault(path + "Proto", "\(number) is no protocol with ports; those are 6, 17 and 132")
      return nil
    }
    var bounds: [UInt16] = []
    for field in ["Port", "HostPort", "HostPortEnd"] {
      let number = reader.number(field, of: mapping, at: path) ?? 0
      guard let port = UInt16(exactly: number) else {
        reader.fault(path + field, "\(number) is no port; one is 1 to 65535")
        return nil
      }
      bounds.append(port)
    }
    let address = reader.value("HostIP", of: mapping, at: path) { (text) throws(NetworkError) in try IPAddress(text) }
    return reader.attempt(path) { () throws(NetworkError) in
      let (first, last) = (bounds[1], bounds[2])
      return try PortMapping(
        hostAddress: address, hostPorts: first == 0 ? nil : PortRange(first, max(first, last)),
        containerPorts: PortRange(bounds[0]), transport: transport)
    }
  }
}
