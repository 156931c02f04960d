import NetworkPrimitives
import Synchronization

/// What the indices of the host's bridges were when they were last asked for: to ask before each attach would cost as much
/// as an address and a route. Whoever goes by one finds out when it is wrong.
final class BridgeIndices: Sendable {
  private let indices = Mutex<[InterfaceName: Int32]>([:])

  func known(_ bridge: InterfaceName) -> Int32? { indices.withLock { $0[bridge] } }
  func note(_ bridge: InterfaceName, _ index: Int32) { indices.withLock { $0[bridge] = index } }
  func forget(_ bridge: InterfaceName) { indices.withLock { $0[bridge] = nil } }
}
