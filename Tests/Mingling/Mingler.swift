public import ContainerNetworking
import TestSupport

/// Executes random verbs on one record of a host that has other records, too. Its own names and subnets depend on its
/// number; the host's ports are shared.
public struct Mingler: Sendable {
  let controller: NetworkController
  let number: Int
  private var generator: SeededGenerator
  private var next = 0
  /// The refusals of verbs.
  public private(set) var refusals: [NetworkError] = []

  /// A record's.
  public init(_ controller: NetworkController, number: Int, seed: UInt64) {
    self.controller = controller
    self.number = number
    generator = SeededGenerator(state: seed &+ UInt64(number))
  }

  /// The default network, with a container that stays.
  public func begin() async throws { try await controller.attach("r\(number)-keeper") }

  /// Makes so many.
  public mutating func run(verbs: Int) async throws {
    for _ in 0..<verbs {
      do { try await verb() } catch let error as NetworkError { refusals.append(error) }
    }
  }

  private mutating func verb() async throws {
    let networks = try await controller.networks().filter { $0.phase == .ready }
    let containers = try await controller.sandboxes().filter { !$0.container.hasSuffix("keeper") }
    let network = networks.randomElement(using: &generator)?.name ?? "bridge"
    let container = containers.randomElement(using: &generator)
    next += 1
    switch Int.random(in: 0..<12, using: &generator) {
    case 0..<4:
      guard containers.count < 6 else { return }
      let mode: NetworkMode = network == "bridge" ? .bridge : .network(network)
      let options = AttachOptions(ports: try port().map { [try PortMapping($0)] } ?? [])
      try await controller.attach("r\(number)-\(next)", to: mode, options: options)
    case 4..<6: if let container { try await controller.detach(container.container) }
    case 6: if let container { try await controller.publish([PortMapping(port() ?? "80")], of: container.container) }
    case 7:
      guard let container, let port = container.endpoints.flatMap(\.ports).first else { return }
      let mapping = try PortMapping("\(port.hostPort):\(port.containerPort)")
      try await controller.unpublish([mapping], of: container.container)
    case 8:
      guard networks.count < 4 else { return }
      // From the common pools, or from a private one.
      let subnet = try Bool.random(using: &generator) ? Subnet("10.\(100 + number).\(next % 250).0/24") : nil
      try await controller.createNetwork("r\(number)-net\(next)", options: NetworkOptions(subnet: subnet))
    case 9: if network != "bridge" { try await controller.removeNetwork(network) }
    case 10: if let container { try await controller.connect(container.container, to: network) }
    default: try await controller.reconcileRules()
    }
  }

  /// A contested port, one of a range, any, or none.
  private mutating func port() throws -> String? {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: "\(Int.random(in: 8000..<8012, using: &generator)):80"
    case 1: "8000-8040:80"
    case 2: "80"
    default: nil
    }
  }

  /// The final differences from the record: none, once all others have ended too.
  public func remainder() async throws -> [Difference] {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(60)
    var found = try await controller.differences()
    while !found.isEmpty, clock.now < deadline {
      try await Task.sleep(for: .milliseconds(50))
      found = try await controller.differences()
    }
    return found
  }

  /// Each container: its name, its endpoints on bridges, and the host's ports that lead to it.
  public func containers() async throws -> [String] {
    try await controller.sandboxes().map { sandbox in
      let ports = sandbox.endpoints.flatMap(\.ports).map { "\($0.hostPort)" }
      return ([sandbox.container, "\(sandbox.endpoints.count)"] + ports).joined(separator: " ")
    }
  }
}
