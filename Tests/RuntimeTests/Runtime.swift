import ContainerNetworking
import SystemPackage

/// Starts containers: each is put on the network first, then its program is launched there.
struct Runtime {
  let controller: NetworkController
  /// Launches a container's program in the network namespace of a path, and tells its process id.
  let launch: @Sendable (_ container: String, _ namespace: String) async throws -> Int32

  struct Container {
    var name: String
    var process: Int32
    var address: InterfaceAddress?
  }

  /// Starts a container, or leaves nothing of it.
  func start(_ name: String, on mode: NetworkMode = .bridge, ports: [String] = []) async throws -> Container {
    let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
    let sandbox = try await attach(name, mode, options)
    do {
      let process = try await launch(name, sandbox.namespace.path.string)
      return Container(name: name, process: process, address: sandbox.endpoints.first?.address)
    } catch {
      try await controller.detach(name)
      throw error
    }
  }

  /// Takes a container, whose program has ended, off the network.
  func stop(_ name: String) async throws { try await controller.detach(name) }

  /// A host whose tables keep changing may be calmer at the second try. Any other failure would only come again.
  private func attach(_ name: String, _ mode: NetworkMode, _ options: AttachOptions) async throws -> Sandbox {
    do { return try await controller.attach(name, to: mode, options: options) } catch {
      guard error.is(.interrupted) else { throw error }
      return try await controller.attach(name, to: mode, options: options)
    }
  }
}
