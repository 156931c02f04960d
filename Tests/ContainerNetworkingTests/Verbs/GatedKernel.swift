import ContainerNetworking
import ContainerNetworkingTestKit
import Synchronization
import SystemPackage

/// The real kernel behind a gate: the first request of a kind waits there until the gate is opened.
final class GatedKernel: ForwardingKernel {
  let base: any Kernel = LinuxKernel()
  private let isAwaited = Mutex<(@Sendable (NetlinkMessage) -> Bool)?>(nil)
  private let threshold = Threshold()

  /// `RTM_DELLINK`.
  static let deleteLink: UInt16 = 17

  /// Holds up the next deletion of a link of that name.
  func closeGate(forDeletionOf name: String) {
    closeGate { type, _, payload in
      type == Self.deleteLink && payload.indices.contains { payload[$0...].starts(with: Array(name.utf8)) }
    }
  }

  /// Holds up the next new veth pair, by the name of its kind.
  func closeGateForPair() {
    closeGate(forCreationOf: "veth")
  }

  /// Holds up the next new link of that name, or the first of a pair.
  func closeGate(forCreationOf name: String) {
    closeGate { type, flags, payload in
      // RTM_NEWLINK, NLM_F_CREATE
      type == 16 && flags & 0x400 != 0
        && payload.indices.contains { payload[$0...].starts(with: Array("\(name)\0".utf8)) }
    }
  }

  /// Holds up the next change of a link to that hardware address.
  func closeGate(forChangeTo macAddress: MACAddress) {
    closeGate { type, flags, payload in
      (type == 16 || type == 19) && flags & 0x400 == 0
        && payload.indices.contains { payload[$0...].starts(with: macAddress.bytes) }
    }
  }

  /// Holds up the next firewall transaction that deletes elements of a set (`NFT_MSG_DELSETELEM`).
  func closeGateForElementDeletion() { closeGate { type, _, _ in type == 10 << 8 | 14 } }

  private func closeGate(_ isAwaited: @escaping @Sendable (UInt16, UInt16, [UInt8]) -> Bool) {
    self.isAwaited.withLock { predicate in
      predicate = { isAwaited($0.type, $0.flags.rawValue, Array($0.payload)) }
    }
  }

  /// Waits until the request has come to the gate.
  func requestAtGate() async { await threshold.awaitArrival("request") }

  /// Lets it go on.
  func openGate() { threshold.open() }

  private func pass(_ datagram: [UInt8]) throws(NetworkError) {
    let messages = try NetlinkMessage.parse(datagram[...])
    let isHeld = isAwaited.withLock { predicate in
      guard let isAwaited = predicate, messages.contains(where: isAwaited) else { return false }
      predicate = nil
      return true
    }
    if isHeld { threshold.pass() }
  }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    InterceptingSocket(try base.openSocket(family, in: namespace)) { (datagram) throws(NetworkError) in
      try self.pass(datagram)
      return datagram
    }
  }
}
