import Netlink
import SystemPackage

extension SimulatedState {
  /// Answers a datagram of nfnetlink requests: none is known.
  mutating func answerNetfilter(
    _ requests: [NetlinkMessage], in namespace: UInt64, portID: UInt32
  ) -> [SimulatedSocket.Received] {
    requests.map { encode(Acknowledgement(errno: .notSupportedOnSocket), to: $0, portID: portID) }
  }
}
