import Netlink

extension NetworkController {
  /// The mark of packets that our rules let pass whatever they say otherwise: `cnet` as four letters of ASCII.
  ///
  /// What is dropped anywhere in nftables is dropped, and what another table accepts is not accepted by ours. So a user's
  /// own rule that is to overrule ours comes before them and marks: `meta mark set 0x636e6574`, in a chain at the hook
  /// forward of priority below 0 (inet) or -200 (bridge). Only these two of our chains look at it.
  public static let acceptMark: UInt32 = 0x636e_6574
}

extension Firewall {
  static let acceptMark = NftValue.host(NetworkController.acceptMark)
}
