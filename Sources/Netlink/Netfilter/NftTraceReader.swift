import CContainerNetworking
public import NetworkPrimitives
import Synchronization
import SystemPackage

/// Collects the steps of traced packets over a socket of its own; the kernel queues them until ``take()`` reads them.
public final class NftTraceReader: Sendable {
  private let socket: any NetlinkSocket
  private let sequence = Mutex<UInt32>(0)

  /// Joins the group; the kernel queues all later steps.
  ///
  /// - Parameter socket: A netfilter socket with no other user.
  /// - Throws: The kernel's refusal.
  public init(_ socket: any NetlinkSocket) throws(NetworkError) {
    self.socket = socket
    try socket.join(group: NftTrace.group)
  }

  /// The steps since the last call.
  public struct Steps: Sendable {
    /// The steps, in order.
    public var steps: [NftTrace] = []
    /// Whether the kernel dropped some of them for lack of room.
    public var isLossy = false

    /// No steps.
    package init() {}
  }

  /// The steps before this call. They are complete, because the answer to a request made here arrives after them.
  ///
  /// If the kernel dropped some, the others are returned all the same.
  ///
  /// - Throws: `.malformedMessage`; `.replyLost` when the kernel does not answer.
  public func take() throws(NetworkError) -> Steps {
    try sequence.withLock { (last) throws(NetworkError) in
      last &+= 1
      let request = NftRequests.generation()
      var datagram = PayloadWriter()
      NetlinkMessage(
        type: request.type, flags: [.request], sequence: last, portID: socket.portID, payload: request.body[...]
      ).encode(into: &datagram)
      try socket.send(datagram.bytes)
      var result = Steps()
      while true {
        let received: [UInt8]
        do throws(NetworkError) { received = try socket.receive() } catch {
          guard error.kernel?.errno == .noBufferSpace else { throw error }
          result.isLossy = true
          continue
        }
        for message in try NetlinkMessage.parse(received[...]) {
          if message.portID == socket.portID, message.sequence == last { return result }
          if message.type == NftMessage.type(NFT_MSG_TRACE) { result.steps.append(try NftTrace(message)) }
        }
        // Until the queue is empty the kernel drops everything for this socket, the answer included
        // (NETLINK_S_CONGESTED in net/netlink/af_netlink.c).
        if result.isLossy { try socket.send(datagram.bytes) }
      }
    }
  }
}
