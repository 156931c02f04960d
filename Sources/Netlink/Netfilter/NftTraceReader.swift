import CContainerNetworking
public import NetworkPrimitives
import Synchronization
import SystemPackage

/// Reads the steps of traced packets, when it is asked for them, over a socket of its own: the kernel keeps them meanwhile.
public final class NftTraceReader: Sendable {
  private let socket: any NetlinkSocket
  private let sequence = Mutex<UInt32>(0)

  /// Joins the group; steps from now on are kept.
  ///
  /// - Parameter socket: A netfilter socket that nobody else uses.
  /// - Throws: The kernel's refusal.
  public init(_ socket: any NetlinkSocket) throws(NetworkError) {
    self.socket = socket
    try socket.join(group: NftTrace.group)
  }

  /// What has happened since.
  public struct Steps: Sendable {
    /// The steps, in the order that they were taken.
    public var steps: [NftTrace] = []
    /// Whether the kernel had no room for some of them.
    public var isLossy = false

    /// None.
    package init() {}
  }

  /// The steps that were taken before this call: every one, since the answer to a request that is made here comes behind them.
  ///
  /// Where the kernel had no room for some, those that it had room for are given all the same.
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
        // Until the queue is empty the kernel drops all that is for this socket (NETLINK_S_CONGESTED in
        // net/netlink/af_netlink.c), the answer too.
        if result.isLossy { try socket.send(datagram.bytes) }
      }
    }
  }
}
