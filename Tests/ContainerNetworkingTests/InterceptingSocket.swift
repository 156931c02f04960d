import ContainerNetworking
import ContainerNetworkingTestKit

/// A socket that has each datagram looked at, held up or changed before it is sent.
final class InterceptingSocket: ForwardingSocket {
  let base: any NetlinkSocket
  private let pass: @Sendable ([UInt8]) throws(NetworkError) -> [UInt8]

  init(_ base: any NetlinkSocket, _ pass: @escaping @Sendable ([UInt8]) throws(NetworkError) -> [UInt8]) {
    self.base = base
    self.pass = pass
  }

  func send(_ datagram: [UInt8]) throws(NetworkError) { try base.send(try pass(datagram)) }
}
