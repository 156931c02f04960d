import Dispatch
import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// A socket of the simulated kernel: requests are answered while they are sent, and the answers wait in a queue.
final class SimulatedSocket: NetlinkSocket {
  let portID: UInt32
  private let kernel: SimulatedKernel
  private let family: NetlinkFamily
  private let namespace: UInt64
  private let queue = Mutex(Queue())
  private let arrivals = DispatchSemaphore(value: 0)

  private struct Queue {
    var datagrams: [Received] = []
    var isInterrupted = false
  }

  /// What `receive` finds: a datagram, or word that some were dropped.
  enum Received {
    case datagram([UInt8])
    case overrun
  }

  init(kernel: SimulatedKernel, family: NetlinkFamily, namespace: UInt64, portID: UInt32) {
    self.kernel = kernel
    self.family = family
    self.namespace = namespace
    self.portID = portID
  }

  deinit {
    kernel.state.withLock { $0.closeSocket(in: namespace) }
    kernel.deliver()
  }

  func send(_ datagram: [UInt8]) throws(NetworkError) {
    let messages = try NetlinkMessage.parse(datagram[...])
    let replies = kernel.state.withLock { state in
      family == .route
        ? state.answerRoute(messages, in: namespace, portID: portID)
        : state.answerNetfilter(messages, in: namespace, portID: portID)
    }
    for reply in replies { enqueue(received: reply) }
    kernel.deliver()
  }

  func receive() throws(NetworkError) -> [UInt8] {
    guard arrivals.wait(timeout: .now()) == .success, let next = pop() else {
      throw systemError(.timedOut, "recvmsg", "wait for the kernel's answer")
    }
    return try bytes(of: next)
  }

  func join(group: Int32) throws(NetworkError) {
    kernel.listen(self, family: family, namespace: namespace, group: group)
  }

  func nextEvent() throws(NetworkError) -> [UInt8]? {
    while true {
      arrivals.wait()
      let isInterrupted = queue.withLock { $0.isInterrupted }
      if isInterrupted {
        // For the next caller, who must not wait either.
        arrivals.signal()
        return nil
      }
      if let next = pop() { return try bytes(of: next) }
    }
  }

  func drain() throws(NetworkError) { queue.withLock { $0.datagrams = [] } }

  func interrupt() {
    queue.withLock { $0.isInterrupted = true }
    arrivals.signal()
  }

  /// As much as the kernel keeps for a socket that nobody reads.
  private static let eventLimit = 8192

  func enqueue(_ datagram: [UInt8]) {
    let isFull = queue.withLock { $0.datagrams.count >= Self.eventLimit }
    isFull ? overrun() : enqueue(received: .datagram(datagram))
  }

  /// Notes that an event was dropped: as of the kernel, the error comes before what waits already, and once.
  func overrun() {
    queue.withLock { queue in
      if case .overrun? = queue.datagrams.first { return }
      queue.datagrams.insert(.overrun, at: 0)
    }
    arrivals.signal()
  }

  private func enqueue(received: Received) {
    queue.withLock { $0.datagrams.append(received) }
    arrivals.signal()
  }

  private func pop() -> Received? {
    queue.withLock { $0.datagrams.isEmpty ? nil : $0.datagrams.removeFirst() }
  }

  private func bytes(of received: Received) throws(NetworkError) -> [UInt8] {
    switch received {
    case .datagram(let bytes): return bytes
    case .overrun: throw systemError(.noBufferSpace, "recvmsg", "receive netlink reply")
    }
  }
}
