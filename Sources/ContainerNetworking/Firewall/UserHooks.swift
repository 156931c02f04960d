import Netlink

extension NetworkController {
  /// The mark of packets that pass our rules unconditionally: `cnet` as four letters of ASCII.
  ///
  /// In nftables a drop by any table is final, but an accept in one table does not overrule another. A user's rule that
  /// should overrule ours must run before them and set the mark: `meta mark set 0x636e6574`, in a chain at the hook
  /// forward of priority below 0 (inet) or -200 (bridge). Only these two of our chains read it.
  public static let acceptMark: UInt32 = 0x636e_6574
}

extension Firewall {
  static let acceptMark = NftValue.host(NetworkController.acceptMark)
}
