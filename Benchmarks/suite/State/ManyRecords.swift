import ContainerNetworking
import ContainerNetworkingStore
import SystemPackage

/// A state on disk with many containers on one network, each with a published port: the first is attached, and the others are
/// on record as it is.
@MainActor struct ManyRecords {
  let directory: FilePath
  private let host: NetworkNamespace

  /// - Parameters:
  ///   - directory: Where the state is made.
  ///   - count: How many containers it is to have.
  ///   - host: The host, for this state alone.
  init(in directory: FilePath, _ count: Int, _ host: NetworkNamespace) async throws {
    self.directory = directory
    self.host = host
    let controller = try await open()
    try await controller.createNetwork(
      "wide", options: NetworkOptions(subnet: try Subnet("10.64.0.0/10")))
    try await controller.attach("c0", to: .network("wide"), options: try Library.options(0))
    let store = try SQLiteStore(at: directory)
    let all = try store.read(since: 0)
    var changes: [StoreChange] = []
    for case .save(let record) in all.changes {
      for number in 1..<count {
        if let copy = try Self.copy(of: record, number) { changes.append(.save(copy)) }
      }
    }
    let added = changes
    _ = try store.update(since: all.revision, .process) { _ in ((), added) }
  }

  /// A controller of it.
  func open() async throws -> NetworkController {
    try await NetworkController(
      host: host, store: SQLiteStore(at: directory),
      settings: ControllerSettings(resolvers: [], reservesPorts: false))
  }

  /// The record that another container would have in its place.
  private static func copy(of record: StoreRecord, _ number: Int) throws -> StoreRecord? {
    let id = String(number + 1 << 40, radix: 16)
    switch record {
    case .endpoint(var endpoint):
      endpoint.id = id + endpoint.id.dropFirst(id.count)
      endpoint.sandboxID = id + endpoint.sandboxID.dropFirst(id.count)
      endpoint.container = "c\(number)"
      endpoint.hostInterface = try InterfaceName("cn\(id)")
      let address = IPv4Address(rawValue: 0x0a40_0002 + UInt32(number))
      endpoint.addresses = [try InterfaceAddress(address: .v4(address), prefixLength: 10)]
      endpoint.macAddress = MACAddress(ipv4: address)
      for index in endpoint.ports.indices { endpoint.ports[index].hostPort = UInt16(Numbering.port(number)) }
      return .endpoint(endpoint)
    case .sandbox(var sandbox):
      sandbox.sandboxID = id + sandbox.sandboxID.dropFirst(id.count)
      sandbox.container = "c\(number)"
      return .sandbox(sandbox)
    default: return nil
    }
  }
}
