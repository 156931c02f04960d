import AdapterSupport
import ContainerNetworking
import SystemPackage

/// A container in the form of Docker's `inspect`, as far as the data exists.
struct ContainerInspection {
  let sandbox: Sandbox
  /// The description by `run`; nil for a container that was attached.
  let known: RunFiles.Known?
  var description: RunDescription? { known?.description }

  /// Whether its supervisor is gone, which would have removed it.
  var isDead: Bool { known.map { !$0.isSupervised } ?? false }

  /// `running`, or `dead` when `cnet run` was killed.
  var status: String { isDead ? "dead" : "running" }

  /// The time of its creation; of an attached container, that of its files.
  var created: Timestamp? {
    description?.created ?? sandbox.files.flatMap { fileTime($0.hostname) }
  }

  var json: JSON {
    let command = description?.command ?? []
    let time = created.map(\.description) ?? ""
    return .object([
      "Id": .text(sandbox.containerID), "Name": .text("/\(sandbox.container)"), "Created": .text(time),
      "Path": .text(command.first ?? ""), "Args": .texts(Array(command.dropFirst())),
      "State": .object([
        "Status": .text(status), "Running": .flag(!isDead), "Dead": .flag(isDead), "Paused": .flag(false),
        "Restarting": .flag(false), "Pid": .number(Int64(description?.process ?? 0)), "StartedAt": .text(time),
      ]),
      "ResolvConfPath": .text(sandbox.files?.resolvConf.string ?? ""),
      "HostnamePath": .text(sandbox.files?.hostname.string ?? ""),
      "HostsPath": .text(sandbox.files?.hosts.string ?? ""), "LogPath": .text(description?.log ?? ""),
      "Mounts": .list([]), "Driver": .text(""), "Platform": .text("linux"), "RestartCount": .number(0),
      "HostConfig": .object([
        "NetworkMode": .text("\(sandbox.mode)"), "PortBindings": .object(ports(isExposed: false)),
        "PublishAllPorts": .flag(description?.publishesAll ?? false), "AutoRemove": .flag(true),
      ]),
      "Config": .object([
        "Hostname": .text(sandbox.hostname ?? ""), "Domainname": .text(sandbox.domainname ?? ""),
        "Labels": .object((description?.labels ?? [:]).mapValues(JSON.text)), "Cmd": .texts(command),
        "Env": .texts(description?.variables ?? []), "Tty": .flag(description?.hasTerminal ?? false),
        "OpenStdin": .flag(description?.isInteractive ?? false), "ExposedPorts": .object(exposed),
      ]),
      "NetworkSettings": networkSettings,
    ])
  }

  // MARK: - Networks

  private var networkSettings: JSON {
    // The fields beside Networks are the default network's, as in Docker before version 29.
    let plain = sandbox.endpoints.first { $0.networkName == "bridge" }
    var fields = plain.map { Self.addresses(of: $0) } ?? Self.noAddresses
    fields["EndpointID"] = .text(plain?.id ?? "")
    fields["MacAddress"] = .text(plain.map { "\($0.macAddress)" } ?? "")
    fields["SandboxID"] = .text(sandbox.id)
    fields["SandboxKey"] = .text(sandbox.mode == .host ? "" : sandbox.namespace.path.string)
    fields["Ports"] = .object(ports(isExposed: true))
    fields["Networks"] = .object(networks)
    return .object(fields)
  }

  private var networks: [String: JSON] {
    switch sandbox.mode {
    case .host, .none: return ["\(sandbox.mode)": network(nil)]
    // They are the donor's.
    case .container: return [:]
    case .bridge, .network: break
    }
    let pairs = sandbox.endpoints.map { ($0.networkName, network($0)) }
    return Dictionary(pairs) { first, _ in first }
  }

  private func network(_ endpoint: Endpoint?) -> JSON {
    var fields = endpoint.map { Self.addresses(of: $0) } ?? Self.noAddresses
    fields["EndpointID"] = .text(endpoint?.id ?? "")
    fields["NetworkID"] = .text(endpoint?.networkID ?? PredefinedNetwork(rawValue: "\(sandbox.mode)")?.id ?? "")
    fields["MacAddress"] = .text(endpoint.map { "\($0.macAddress)" } ?? "")
    fields["GwPriority"] = .number(Int64(endpoint?.gatewayPriority ?? 0))
    fields["DriverOpts"] =
      endpoint.map { .object(["com.docker.network.endpoint.ifname": .text("\($0.interface)")]) } ?? .null
    let aliases = endpoint?.aliases ?? []
    fields["Aliases"] = aliases.isEmpty ? .null : .texts(aliases)
    fields["Links"] = .null
    let asked = endpoint?.staticAddresses ?? []
    fields["IPAMConfig"] =
      asked.isEmpty
      ? .null
      : .object(
        Dictionary(asked.map { ($0.family == .ipv4 ? "IPv4Address" : "IPv6Address", JSON.text("\($0)")) }) { first, _ in
          first
        })
    fields["DNSNames"] = endpoint.map { .texts(names(on: $0)) } ?? .null
    return .object(fields)
  }

  /// The default network has no names.
  private func names(on endpoint: Endpoint) -> [String] {
    guard endpoint.networkName != "bridge" else { return [] }
    var names = [sandbox.container] + endpoint.aliases + [String(sandbox.id.prefix(12))]
    if let hostname = sandbox.hostname, !names.contains(hostname) { names.append(hostname) }
    return names
  }

  private static func addresses(of endpoint: Endpoint) -> [String: JSON] {
    let gateway = { (family: AddressFamily) in
      endpoint.gateways.first { $0.family == family && !$0.isUnspecified }.map { "\($0)" } ?? ""
    }
    let (v4, v6) = (endpoint.address(.ipv4), endpoint.address(.ipv6))
    return [
      "IPAddress": .text(v4.map { "\($0.address)" } ?? ""), "IPPrefixLen": .number(Int64(v4?.prefixLength ?? 0)),
      "Gateway": .text(gateway(.ipv4)), "GlobalIPv6Address": .text(v6.map { "\($0.address)" } ?? ""),
      "GlobalIPv6PrefixLen": .number(Int64(v6?.prefixLength ?? 0)), "IPv6Gateway": .text(gateway(.ipv6)),
    ]
  }

  private static var noAddresses: [String: JSON] {
    [
      "IPAddress": .text(""), "IPPrefixLen": .number(0), "Gateway": .text(""), "GlobalIPv6Address": .text(""),
      "GlobalIPv6PrefixLen": .number(0), "IPv6Gateway": .text(""),
    ]
  }

  // MARK: - Ports

  private var exposed: [String: JSON] {
    let named = (description?.exposed ?? []).flatMap { range in
      range.containerPorts.ports.map { "\($0)/\(range.transport)" }
    }
    let published = sandbox.endpoints.flatMap(\.ports).map { "\($0.containerPort)/\($0.transport)" }
    return Dictionary((named + published).map { ($0, JSON.object([:])) }) { first, _ in first }
  }

  /// The published addresses by container port and protocol; null for a port that is only exposed.
  private func ports(isExposed: Bool) -> [String: JSON] {
    var ports: [String: [JSON]] = [:]
    for port in sandbox.endpoints.flatMap(\.ports) {
      ports["\(port.containerPort)/\(port.transport)", default: []] += port.addresses.map { address in
        .object(["HostIp": .text("\(address)"), "HostPort": .text("\(port.hostPort)")])
      }
    }
    var result = ports.mapValues(JSON.list)
    if isExposed { for name in exposed.keys where result[name] == nil { result[name] = .null } }
    return result
  }

}
