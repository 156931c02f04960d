import ContainerNetworking
import ContainerNetworkingTestKit
import Synchronization
import SystemPackage

/// The real kernel, which can be made to refuse tables, or to run a hook between two reads of our rules.
final class RulesHookKernel: ForwardingKernel {
  let base: any Kernel = LinuxKernel()
  private let refusesTables = Mutex(false)
  private let countdown = Mutex<(looks: Int, action: @Sendable () -> Void)?>(nil)

  /// `NFT_MSG_NEWTABLE` and `NFT_MSG_GETRULE`.
  private static let newTable: UInt16 = 0x0a00
  private static let getRules: UInt16 = 0x0a07

  /// Refuses every transaction that makes a table from now on, by a message type that no kernel knows; or none.
  func refuseTables(_ refuses: Bool) { refusesTables.withLock { $0 = refuses } }

  /// Does something once, before the rules are listed for the `count`-th time from now.
  func before(listing count: Int, _ action: @escaping @Sendable () -> Void) {
    countdown.withLock { $0 = (count, action) }
  }

  private func pass(_ datagram: [UInt8]) throws(NetworkError) -> [UInt8] {
    let messages = try NetlinkMessage.parse(datagram[...])
    if messages.contains(where: { $0.type == Self.getRules }) {
      let action = countdown.withLock { countdown -> (@Sendable () -> Void)? in
        guard let (looks, action) = countdown else { return nil }
        countdown = looks > 1 ? (looks - 1, action) : nil
        return looks > 1 ? nil : action
      }
      action?()
    }
    guard refusesTables.withLock({ $0 }), messages.contains(where: { $0.type == Self.newTable }) else {
      return datagram
    }
    var result = PayloadWriter()
    for message in messages {
      var message = message
      if message.type == Self.newTable { message.type = 0xfff0 }
      message.encode(into: &result)
    }
    return result.bytes
  }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    let socket = try base.openSocket(family, in: namespace)
    guard family == .netfilter else { return socket }
    return InterceptingSocket(socket) { (datagram) throws(NetworkError) in try self.pass(datagram) }
  }
}
