public import ContainerNetworking
import Dispatch
import Glibc
import SystemPackage

extension Playground {
  /// Runs an example: gives it a playground and a controller of the host in it, and takes away what the controller made
  /// when the example ends, fails or is interrupted. A failure is printed and makes the exit code 1.
  ///
  /// A playground of the example's own needs no care: the kernel takes namespaces away with the process that holds them,
  /// and kills the programs in them (``Command/endsWithParent``), even after `kill -9`. With `--host` it is the machine
  /// that would be left with a bridge and a table, so there a ^C is caught and cleaned up after, too.
  ///
  /// - Parameters:
  ///   - arguments: The example's own.
  ///   - configure: Changes the controller's settings; it is given the controller's store.
  ///   - example: The example.
  @MainActor public static func run(
    _ arguments: [String] = CommandLine.arguments,
    configure: @MainActor (Playground, any Store, inout ControllerSettings) async throws -> Void = { _, _, _ in },
    _ example: @MainActor (Playground, NetworkController) async throws -> Void
  ) async {
    do {
      let world = try Playground(arguments: arguments)
      let store = MemoryStore()
      var settings = ControllerSettings()
      try await configure(world, store, &settings)
      defer { if let directory = settings.filesDirectory { remove(directory) } }
      let controller = try await NetworkController(host: world.host, store: store, settings: settings)
      let traps = world.isMachine ? [SIGINT, SIGTERM, SIGHUP].map { trap($0, cleaning: controller, settings) } : []
      var failure: (any Error)?
      do { try await example(world, controller) } catch { failure = error }
      try await controller.removeAll()
      for trap in traps { trap.cancel() }
      if let failure { throw failure }
    } catch {
      report(error)
      exit(1)
    }
  }

  /// Runs on the main queue, like the example: it runs while the example waits, and the example creates nothing
  /// meanwhile.
  private static func trap(
    _ number: Int32, cleaning controller: NetworkController, _ settings: ControllerSettings
  ) -> any DispatchSourceSignal {
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .main)
    source.setEventHandler {
      let isDone = DispatchSemaphore(value: 0)
      Task.detached {
        do { try await controller.removeAll(isFinal: true) } catch { report(error) }
        isDone.signal()
      }
      isDone.wait()
      if let directory = settings.filesDirectory { remove(directory) }
      exit(128 + number)
    }
    source.resume()
    return source
  }

  private static func report(_ error: any Error) {
    fflush(nil)
    _ = try? FileDescriptor.standardError.writeAll("failed: \(error)\n".utf8)
  }
}
