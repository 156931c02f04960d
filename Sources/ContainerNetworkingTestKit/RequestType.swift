import CContainerNetworking

/// Types of netlink messages, for ``SimulatedKernel/inject(_:on:times:)`` (`linux/rtnetlink.h`,
/// `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink_conntrack.h`).
public enum RequestType {
  /// `RTM_NEWLINK`: make a link, or change one.
  public static let newLink = UInt16(RTM_NEWLINK)
  /// `RTM_DELLINK`.
  public static let deleteLink = UInt16(RTM_DELLINK)
  /// `RTM_GETLINK`.
  public static let getLink = UInt16(RTM_GETLINK)
  /// `RTM_NEWADDR`.
  public static let newAddress = UInt16(RTM_NEWADDR)
  /// `RTM_DELADDR`.
  public static let deleteAddress = UInt16(RTM_DELADDR)
  /// `RTM_GETADDR`.
  public static let getAddress = UInt16(RTM_GETADDR)
  /// `RTM_NEWROUTE`.
  public static let newRoute = UInt16(RTM_NEWROUTE)
  /// `RTM_DELROUTE`.
  public static let deleteRoute = UInt16(RTM_DELROUTE)
  /// `RTM_GETROUTE`.
  public static let getRoute = UInt16(RTM_GETROUTE)
  /// `RTM_NEWNEIGH`.
  public static let newNeighbor = UInt16(RTM_NEWNEIGH)
  /// `RTM_DELNEIGH`.
  public static let deleteNeighbor = UInt16(RTM_DELNEIGH)
  /// `RTM_GETNEIGH`.
  public static let getNeighbor = UInt16(RTM_GETNEIGH)

  /// `NFT_MSG_NEWTABLE`.
  public static let newTable = nftables(NFT_MSG_NEWTABLE)
  /// `NFT_MSG_DELTABLE`.
  public static let deleteTable = nftables(NFT_MSG_DELTABLE)
  /// `NFT_MSG_NEWCHAIN`.
  public static let newChain = nftables(NFT_MSG_NEWCHAIN)
  /// `NFT_MSG_NEWRULE`.
  public static let newRule = nftables(NFT_MSG_NEWRULE)
  /// `NFT_MSG_NEWSET`.
  public static let newSet = nftables(NFT_MSG_NEWSET)
  /// `NFT_MSG_NEWSETELEM`.
  public static let newElement = nftables(NFT_MSG_NEWSETELEM)
  /// `NFT_MSG_DELSETELEM`.
  public static let deleteElement = nftables(NFT_MSG_DELSETELEM)

  /// `IPCTNL_MSG_CT_GET`.
  public static let getConnections = UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(IPCTNL_MSG_CT_GET.rawValue)
  /// `IPCTNL_MSG_CT_DELETE`.
  public static let deleteConnection = UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(IPCTNL_MSG_CT_DELETE.rawValue)

  private static func nftables(_ message: nf_tables_msg_types) -> UInt16 {
    UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
  }
}
