import AddressPools
import NetworkPrimitives
import Synchronization

/// What ``NetworkController`` does, on one thread: state, and the order of steps. Kernel work is the drivers'.
final class Engine: Sendable {
  let host: NetworkNamespace
  let store: any Store
  let settings: ControllerSettings
  let firewall: Firewall
  let state = Mutex(State())

  /// One custom network, or the default one.
  struct Network {
    var record: NetworkRecord
    var pool: AddressPool
    var bridgeIndex: Int32
  }

  /// The containers that share one namespace, and what that namespace has on the network. It lives as long as a member.
  struct Group {
    var namespace: NetworkNamespace
    var endpoints: [Endpoint]
    var members: Set<String>
  }

  struct Member {
    var mode: NetworkMode
    var group: Int
    var warnings: [AttachWarning]
  }

  struct State {
    var networks: [String: Network] = [:]
    var groups: [Int: Group] = [:]
    var members: [String: Member] = [:]
    var lastGroup = 0
    var ports = PortTable()
    /// Whether our firewall table is in the kernel.
    var hasTable = false
    /// Links of the host that forward only because we need it.
    var uplinks: [Int32] = []

    /// The network whose full id, name or unique id prefix that is.
    func network(_ name: String) throws(NetworkError) -> Network {
      if let network = networks[name] { return network }
      if let network = networks.values.first(where: { $0.record.name == name }) { return network }
      let matches = name.isEmpty ? [] : networks.values.filter { $0.record.id.hasPrefix(name) }
      if matches.count == 1 { return matches[0] }
      let known = networks.values.map(\.record.name).sorted().joined(separator: ", ")
      throw matches.isEmpty
        ? NetworkError(
          .notFound, operation: "find network \"\(name)\"",
          reason: "there is no network \"\(name)\"; there are: \(known.isEmpty ? "none" : known)")
        : NetworkError(
          .ambiguous, operation: "find network \"\(name)\"",
          reason: "the id prefix \"\(name)\" matches "
            + matches.map { "\($0.record.id.prefix(12)) (\($0.record.name))" }.sorted().joined(separator: ", "))
    }

    func sandbox(_ container: String) throws(NetworkError) -> Sandbox {
      guard let member = members[container], let group = groups[member.group] else {
        throw NetworkError(
          .notFound, operation: "find container \"\(container)\"", reason: "\"\(container)\" is not attached")
      }
      return Sandbox(
        container: container, mode: member.mode, namespace: group.namespace, endpoints: group.endpoints,
        warnings: member.warnings)
    }
  }

  init(host: NetworkNamespace, store: any Store, settings: ControllerSettings) {
    self.host = host
    self.store = store
    self.settings = settings
    firewall = Firewall(host: host)
  }

  func open() throws(NetworkError) {
    _ = try InterfaceName(settings.defaultBridge)
    // A controller with a record of networks would have to bring them back; a new one must not inherit silently.
    let known = try store.networks()
    guard known.isEmpty else {
      throw NetworkError(
        .refused, operation: "open controller",
        reason: "the store holds \(known.count) networks of another controller; give each controller an empty store")
    }
  }

  func sandbox(_ container: String) throws(NetworkError) -> Sandbox {
    try state.withLock { (state) throws(NetworkError) in try state.sandbox(container) }
  }

  func allSandboxes() -> [Sandbox] {
    state.withLock { state in state.members.keys.sorted().compactMap { try? state.sandbox($0) } }
  }

  func network(_ name: String) throws(NetworkError) -> Network {
    try state.withLock { (state) throws(NetworkError) in try state.network(name) }
  }

  func allNetworks() -> [NetworkRecord] {
    state.withLock { state in state.networks.values.map(\.record).sorted { $0.name < $1.name } }
  }

  func removeAll() throws(NetworkError) {
    var failures: [NetworkError] = []
    for sandbox in allSandboxes() {
      do throws(NetworkError) { try detach(sandbox.container) } catch { failures.append(error) }
    }
    for network in allNetworks() {
      do throws(NetworkError) { try removeNetwork(id: network.id) } catch { failures.append(error) }
    }
    do throws(NetworkError) { try firewall.remove() } catch { failures.append(error) }
    guard failures.isEmpty else {
      throw NetworkError(
        failures[0].code, operation: "remove everything", reason: "\(failures.count) things could not be removed",
        causes: failures)
    }
  }
}

/// 64 random hexadecimal digits, as Docker's ids.
func makeID() -> String {
  (0..<4).map { _ in
    let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }.joined()
}
