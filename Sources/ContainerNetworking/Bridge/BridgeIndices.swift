import NetworkPrimitives
import Synchronization

/// What the indices of the host's bridges, and of the trunks between them, were when they were last asked for: to ask before each attach would cost as much
/// as an address and a route. Whoever goes by one finds out when it is wrong.
final class BridgeIndices: Sendable {
  private let indices = Mutex<[InterfaceName: Int32]>([:])

  func known(_ name: InterfaceName) -> Int32? { indices.withLock { $0[name] } }
  func note(_ name: InterfaceName, _ index: Int32) { indices.withLock { $0[name] = index } }
  func forget(_ name: InterfaceName) { indices.withLock { $0[name] = nil } }
}
