import ContainerNetworking
import NIOCore
import NetworkPrimitives
import Synchronization

/// A server between its start and its end.
final class RunningServer: Sendable {
  private let context: ServerContext
  private let loops: ServerLoops
  private let listeners: Listeners
  private let control: ControlServer?

  /// Takes the directory's lock and reads the store. Blocks.
  init(host: NetworkNamespace, store: any Store, settings: NameServerSettings) throws(NetworkError) {
    let lock = try settings.directory.map { (path) throws(NetworkError) in try ServerLock(path) }
    // A cycle of two references: the directory finds removed networks, and the listeners close their sockets.
    let holder = ListenersHolder()
    let directory = NameDirectory(
      store, onGone: { networks, sandboxes in holder.listeners?.forget(networks, sandboxes) },
      onFailure: settings.onFailure)
    context = ServerContext(host: host, settings: settings, directory: directory)
    loops = ServerLoops(context)
    listeners = Listeners(context, loops)
    holder.set(listeners)
    directory.refresh()
    if let lock, let path = settings.directory {
      do throws(NetworkError) { control = try ControlServer(path, lock, context, listeners, loops) } catch {
        loops.abandon()
        throw error
      }
    } else {
      control = nil
    }
  }

  /// Serves every network that is on record.
  func serveAll() {
    for (network, sandboxes) in context.directory.networks() {
      do throws(NetworkError) { try listeners.serve(network, in: sandboxes) } catch {
        context.settings.onFailure(error)
      }
    }
  }

  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    // The network's port may have changed since the caller read it.
    context.directory.refresh()
    try listeners.serve(context.directory.network(network.id) ?? network, in: sandboxes.map { ServedSandbox($0) })
  }

  /// The networks whose names are not answered.
  func unserved(_ ids: [String]) -> [String] { Self.unserved(ids, context.directory, listeners) }

  static func unserved(_ ids: [String], _ directory: NameDirectory, _ listeners: Listeners) -> [String] {
    directory.refresh()
    let asked = Set(ids)
    return directory.networks().filter {
      asked.contains($0.network.id) && !listeners.isServed($0.network, in: $0.sandboxes)
    }
    .map(\.network.id)
  }

  func withdraw(_ place: ListeningPlace, isAwaited: Bool) { listeners.withdraw(place, isAwaited: isAwaited) }

  /// Lets go of everything.
  func close() async {
    await control?.close()
    await listeners.close()
    await loops.close()
    control?.release()
  }
}

/// Filled once, after its referrers were made.
private final class ListenersHolder: Sendable {
  private let held = Mutex<Listeners?>(nil)
  var listeners: Listeners? { held.withLock { $0 } }
  func set(_ listeners: Listeners) { held.withLock { $0 = listeners } }
}
