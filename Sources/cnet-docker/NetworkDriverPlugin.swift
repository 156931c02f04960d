import AdapterSupport
import ContainerNetworking
import FoundationEssentials

/// Docker's remote network driver on the record: each of its networks is one of ours, and each of its endpoints an
/// endpoint whose link Docker moves.
struct NetworkDriverPlugin: Sendable {
  let controller: NetworkController

  /// The label of the driver's networks and endpoints.
  static let label = "com.containernetworking.docker"

  /// Answers a request.
  func answer(_ path: String, _ body: [UInt8]) async throws(DriverError) -> JSON {
    guard let verb = Verb(rawValue: path) else {
      throw DriverError(.notFound, "\(path): this driver has no such call")
    }
    let json: JSON
    if body.isEmpty {
      json = .object([:])
    } else {
      do { json = try JSONDecoder().decode(JSON.self, from: Data(body)) } catch {
        throw DriverError(.badRequest, "\(path): the body is no JSON")
      }
    }
    guard json.fields != nil else {
      throw DriverError(.badRequest, "\(path): the body is \(json.kind); it has to be an object")
    }
    do throws(NetworkError) { return try await answer(verb, json) } catch {
      throw error.code == .invalidValue ? DriverError(.badRequest, error.sentence) : DriverError(error)
    }
  }

  /// The calls of Docker's plugin protocol, by their paths.
  enum Verb: String {
    case activate = "/Plugin.Activate"
    case capabilities = "/NetworkDriver.GetCapabilities"
    case createNetwork = "/NetworkDriver.CreateNetwork"
    case deleteNetwork = "/NetworkDriver.DeleteNetwork"
    case createEndpoint = "/NetworkDriver.CreateEndpoint"
    case deleteEndpoint = "/NetworkDriver.DeleteEndpoint"
    case endpointInformation = "/NetworkDriver.EndpointOperInfo"
    case join = "/NetworkDriver.Join"
    case leave = "/NetworkDriver.Leave"
    case publish = "/NetworkDriver.ProgramExternalConnectivity"
    case unpublish = "/NetworkDriver.RevokeExternalConnectivity"
    case allocate = "/NetworkDriver.AllocateNetwork"
    case free = "/NetworkDriver.FreeNetwork"
    case discoverNew = "/NetworkDriver.DiscoverNew"
    case discoverDelete = "/NetworkDriver.DiscoverDelete"
  }

  private func answer(_ verb: Verb, _ json: JSON) async throws(NetworkError) -> JSON {
    switch verb {
    case .activate: return .object(["Implements": .texts(["NetworkDriver"])])
    case .capabilities: return .object(["Scope": .text("local"), "ConnectivityScope": .text("local")])
    case .createNetwork: try await createNetwork(json)
    case .deleteNetwork: try await deleteNetwork(json)
    case .createEndpoint: return try await createEndpoint(json)
    case .deleteEndpoint: try await deleteEndpoint(json)
    case .endpointInformation: return try await endpointInformation(json)
    case .join: return try await join(json)
    case .leave: try await leave(json)
    case .publish: try await publish(json)
    case .unpublish: try await unpublish(json)
    // Of networks that a swarm spreads over hosts, and of what other hosts say.
    case .allocate, .free, .discoverNew, .discoverDelete: break
    }
    return .object([:])
  }
}
