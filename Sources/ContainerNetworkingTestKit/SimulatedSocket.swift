import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// A socket of the simulated kernel: requests are answered within the send, and the answers wait in a mailbox.
final class SimulatedSocket: NetlinkSocket {
  let portID: UInt32
  private let kernel: SimulatedKernel
  private let family: NetlinkFamily
  private let namespace: UInt64
  private let mailbox = Mailbox()

  init(kernel: SimulatedKernel, family: NetlinkFamily, namespace: UInt64, portID: UInt32) {
    self.kernel = kernel
    self.family = family
    self.namespace = namespace
    self.portID = portID
  }

  deinit { kernel.state.withLock { $0.closeSocket(in: namespace, mailbox) } }

  func send(_ datagram: [UInt8]) throws(NetworkError) {
    let messages = try NetlinkMessage.parse(datagram[...])
    kernel.state.withLock { state in
      let replies =
        family == .route
        ? state.answerRoute(messages, in: namespace, portID: portID)
        : state.answerNetfilter(messages, in: namespace, portID: portID)
      // As on Linux, notifications of a change precede its answer.
      state.deliver()
      for reply in replies { mailbox.put(reply) }
    }
  }

  func receive() throws(NetworkError) -> [UInt8] {
    guard let next = mailbox.takeNow() else { throw systemError(.timedOut, "recvmsg", "wait for the kernel's answer") }
    return try bytes(of: next)
  }

  func join(group: Int32) throws(NetworkError) {
    kernel.state.withLock { $0.listen(mailbox, family, in: namespace, group: group) }
  }

  func nextEvent() throws(NetworkError) -> [UInt8]? {
    guard let next = mailbox.take() else { return nil }
    return try bytes(of: next)
  }

  func takeEvent() throws(NetworkError) -> [UInt8]? {
    guard let next = mailbox.takeNow() else { return nil }
    return try bytes(of: next)
  }

  func drain() throws(NetworkError) { mailbox.drain() }

  func interrupt() { mailbox.close() }

  private func bytes(of received: Mailbox.Received) throws(NetworkError) -> [UInt8] {
    switch received {
    case .datagram(let bytes): return bytes
    case .overrun: throw systemError(.noBufferSpace, "recvmsg", "receive netlink reply")
    case .failure(let errno): throw systemError(errno, "recvmsg", "receive netlink reply")
    }
  }
}
