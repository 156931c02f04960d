import AdapterSupport
import ContainerNetworking
import SystemPackage

/// A container in the list of `ps`, with Docker's field names and ours.
struct ContainerRow {
  let id, name, mode, namespace, hostname, files, command, status, state: String
  let created: Timestamp
  let networks, interfaces, addresses, macAddresses: [String]
  let ports: [PublishedPort]
  let exposed: [PortMapping]
  let labels: [String: String]
  private let isWhole: Bool

  /// - Parameter isWhole: Whether ids and commands are printed in full.
  init(_ inspection: ContainerInspection, isWhole: Bool) {
    let sandbox = inspection.sandbox
    self.isWhole = isWhole
    id = sandbox.containerID
    name = sandbox.container
    mode = Self.mode(of: sandbox)
    networks = sandbox.endpoints.map(\.networkName)
    interfaces = sandbox.endpoints.map { "\($0.interface)" }
    addresses = sandbox.endpoints.flatMap { $0.addresses.map(\.description) }
    macAddresses = sandbox.endpoints.map { "\($0.macAddress)" }
    ports = sandbox.endpoints.flatMap(\.ports)
    exposed = inspection.description?.exposed ?? []
    // Without an origin it is the host's; a descriptor of this process would be useless to others.
    namespace = sandbox.mode == .host ? "host" : sandbox.namespace.path.string
    // The directory of its resolv.conf, hosts and hostname, for a runtime to bind.
    hostname = sandbox.hostname ?? ""
    files = sandbox.files?.directory.string ?? ""
    command = (inspection.description?.command ?? []).joined(separator: " ")
    labels = inspection.description?.labels ?? [:]
    created = inspection.created ?? Timestamp(nanoseconds: 0)
    state = inspection.status
    status = inspection.isDead ? "Dead" : "Up \(Self.age(since: created))"
  }

  /// A stopped container, with the settings that it keeps.
  init(stopped record: SandboxRecord, _ kept: [Endpoint], isWhole: Bool) {
    self.isWhole = isWhole
    (id, name, mode) = (record.sandboxID, record.container, "\(record.mode)")
    networks = kept.map(\.networkName)
    interfaces = []
    addresses = kept.flatMap { $0.addresses.map(\.description) }
    (macAddresses, ports, exposed, labels) = ([], [], [], [:])
    (namespace, hostname, files, command) = ("", "", "", "")
    created = Timestamp(nanoseconds: 0)
    (state, status) = ("exited", "Exited")
  }

  /// Its current network mode: a container that has left its first network is no longer in that network's mode.
  private static func mode(of sandbox: Sandbox) -> String {
    switch sandbox.mode {
    case .host, .none, .container: return "\(sandbox.mode)"
    case .bridge, .network:
      let names = sandbox.endpoints.map(\.networkName)
      return names.contains("\(sandbox.mode)") ? "\(sandbox.mode)" : names.first ?? ""
    }
  }

  /// Docker's form: `5 minutes`.
  private static func age(since time: Timestamp) -> String {
    let seconds = max(0, Timestamp.now().nanoseconds - time.nanoseconds) / 1_000_000_000
    switch seconds {
    case ..<1: return "Less than a second"
    case 1: return "1 second"
    case ..<60: return "\(seconds) seconds"
    case ..<120: return "About a minute"
    case ..<3_600: return "\(seconds / 60) minutes"
    case ..<7_200: return "About an hour"
    case ..<172_800: return "\(seconds / 3_600) hours"
    default: return "\(seconds / 86_400) days"
    }
  }

  /// Its fields by name.
  ///
  /// - Parameter isJoined: Whether lists are joined to one text, for people.
  func json(isJoined: Bool) -> JSON {
    let list = { (texts: [String]) -> JSON in
      isJoined ? .text(texts.isEmpty ? "-" : texts.joined(separator: ", ")) : .texts(texts)
    }
    let isKnown = created.nanoseconds > 0
    let shown = isWhole || command.count <= 20 ? command : command.prefix(19) + "…"
    return .object([
      "Name": .text(name), "Mode": .text(isJoined && mode.isEmpty ? "-" : mode), "Networks": list(networks),
      "Interfaces": list(interfaces), "Addresses": list(addresses), "MacAddresses": list(macAddresses),
      "Ports": list(ports.map(\.description)), "Namespace": .text(namespace), "Hostname": .text(hostname),
      "Files": .text(files), "ID": .text(isWhole || !isJoined ? id : String(id.prefix(12))), "Names": .text(name),
      "Command": .text("\"\(shown)\""), "CreatedAt": .text(isKnown ? "\(created)" : ""),
      "RunningFor": .text(isKnown ? Self.age(since: created) + " ago" : ""), "Status": .text(status),
      "State": .text(state),
      "Labels": .text(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")),
      "Image": .text(""), "Mounts": .text(""), "LocalVolumes": .text("0"), "Size": .text("0B"),
    ])
  }
}
