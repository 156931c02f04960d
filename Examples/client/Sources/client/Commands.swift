import ContainerNetworking

/// A tool's commands over a controller, with a reaction to each kind of failure. One `catch` without a pattern asks the
/// error; patterns on several clauses can send Swift 6.3's compiler into an endless loop.
struct Commands {
  let controller: NetworkController

  /// Attaches containers; one that is attached already stays as it is.
  func start(_ names: [String], on network: String, ports: [String] = []) async throws(NetworkError) -> [Sandbox] {
    var sandboxes: [Sandbox] = []
    for name in names {
      var tries = 0
      while true {
        do throws(NetworkError) {
          var options = AttachOptions()
          for port in ports { options.ports.append(try PortMapping(port)) }
          sandboxes.append(try await controller.attach(name, to: .network(network), options: options))
          break
        } catch {
          if error.is(.alreadyExists) {
            sandboxes.append(try await controller.sandbox(name))
            break
          }
          // The host's tables keep changing, or an answer was lost: the call has undone its work.
          guard error.is(.interrupted, .replyLost), tries < 3 else { throw error }
          tries += 1
        }
      }
    }
    return sandboxes
  }

  /// Detaches containers; one that is not attached is no failure.
  func stop(_ names: [String]) async throws {
    for name in names {
      do { try await controller.detach(name) } catch { try error.rethrow(unless: .notFound) }
    }
  }

  /// Creates a network, unless one of that name exists.
  func make(_ network: String, _ subnet: String) async throws(NetworkError) -> NetworkRecord {
    do throws(NetworkError) {
      return try await controller.createNetwork(network, options: NetworkOptions(subnet: Subnet(subnet)))
    } catch {
      try error.rethrow(unless: .alreadyExists)
      return try await controller.network(network)
    }
  }

  /// Removes networks; detaches the containers of a used one first.
  func remove(_ networks: [String]) async throws {
    for network in networks {
      while true {
        do throws(NetworkError) {
          try await controller.removeNetwork(network)
          break
        } catch {
          if error.is(.notFound) { break }
          guard error.is(.inUse) else { throw error }
          try await stop(try await controller.inspect(network).endpoints.map(\.container))
        }
      }
    }
  }

  /// Executes an action and prints the result, in this tool's words.
  func attempt(_ what: String, _ body: () async throws(NetworkError) -> Void) async -> String {
    do throws(NetworkError) {
      try await body()
      return "\(what): done"
    } catch {
      return "\(what): \(Self.advice(for: error))"
    }
  }

  /// The remedy for each kind of failure, for a person.
  static func advice(for error: NetworkError) -> String {
    switch error.code {
    case .invalidValue, .conflictingOptions: "correct the value"
    case .alreadyExists: "it exists already"
    case .notFound: "it does not exist"
    case .ambiguous: "write more of the name"
    case .inUse: "choose another, or stop its holder"
    case .exhausted: "make room"
    case .permissionDenied: "run this as root"
    case .unsupported: "this machine does not support it"
    case .refused: "it cannot be changed"
    case .malformedMessage, .damagedRecord: "report this"
    case .replyLost, .interrupted: "try again"
    case .closed: "it is closed"
    // In a larger operation, the refused request is among the causes.
    case .kernelRefused:
      "the kernel says \((error.kernel ?? error.causes.first?.kernel)?.errno.description ?? "no")"
    // Later versions may have more.
    default: "\(error)"
    }
  }
}
