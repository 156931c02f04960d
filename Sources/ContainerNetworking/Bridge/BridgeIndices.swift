import NetworkPrimitives
import Synchronization

/// Cached interface indices of bridges and trunks; looking one up before each attach would cost as much as adding an
/// address and a route. An entry may be stale: its user must notice.
final class BridgeIndices: Sendable {
  private let indices = Mutex<[InterfaceName: Int32]>([:])

  func known(_ name: InterfaceName) -> Int32? { indices.withLock { $0[name] } }
  func note(_ name: InterfaceName, _ index: Int32) { indices.withLock { $0[name] = index } }
  func forget(_ name: InterfaceName) { indices.withLock { $0[name] = nil } }
}
