import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// The form of an attribute; another one is refused with `ERANGE` (`struct nla_policy`).
enum AttributePolicy {
  case name
  case number32
  case number64
  /// The sender's own bytes, `NFT_USERDATA_MAXLEN`.
  case userData

  func allows(_ payload: ArraySlice<UInt8>) -> Bool {
    switch self {
    case .name: (1..<256).contains(payload.prefix { $0 != 0 }.count)  // NFT_NAME_MAXLEN
    case .number32: payload.count == 4
    case .number64: payload.count == 8
    case .userData: payload.count <= 256
    }
  }
}

/// The policies of `net/netfilter/nf_tables_api.c`.
enum NetfilterPolicy {
  static let table = policy([
    (NFTA_TABLE_NAME, .name), (NFTA_TABLE_FLAGS, .number32), (NFTA_TABLE_HANDLE, .number64),
    (NFTA_TABLE_USERDATA, .userData),
  ])
  static let chain = policy([
    (NFTA_CHAIN_TABLE, .name), (NFTA_CHAIN_NAME, .name), (NFTA_CHAIN_HANDLE, .number64),
    (NFTA_CHAIN_POLICY, .number32), (NFTA_CHAIN_TYPE, .name), (NFTA_CHAIN_FLAGS, .number32),
    (NFTA_CHAIN_ID, .number32), (NFTA_CHAIN_USERDATA, .userData),
  ])
  static let hook = policy([(NFTA_HOOK_HOOKNUM, .number32), (NFTA_HOOK_PRIORITY, .number32), (NFTA_HOOK_DEV, .name)])
  static let rule = policy([
    (NFTA_RULE_TABLE, .name), (NFTA_RULE_CHAIN, .name), (NFTA_RULE_HANDLE, .number64),
    (NFTA_RULE_POSITION, .number64), (NFTA_RULE_USERDATA, .userData), (NFTA_RULE_ID, .number32),
  ])
  static let set = policy([
    (NFTA_SET_TABLE, .name), (NFTA_SET_NAME, .name), (NFTA_SET_FLAGS, .number32), (NFTA_SET_KEY_TYPE, .number32),
    (NFTA_SET_KEY_LEN, .number32), (NFTA_SET_DATA_TYPE, .number32), (NFTA_SET_DATA_LEN, .number32),
    (NFTA_SET_POLICY, .number32), (NFTA_SET_ID, .number32), (NFTA_SET_TIMEOUT, .number64),
    (NFTA_SET_GC_INTERVAL, .number32), (NFTA_SET_USERDATA, .userData), (NFTA_SET_HANDLE, .number64),
  ])
  static let elements = policy([
    (NFTA_SET_ELEM_LIST_TABLE, .name), (NFTA_SET_ELEM_LIST_SET, .name), (NFTA_SET_ELEM_LIST_SET_ID, .number32),
  ])
  static let element = policy([
    (NFTA_SET_ELEM_FLAGS, .number32), (NFTA_SET_ELEM_TIMEOUT, .number64), (NFTA_SET_ELEM_EXPIRATION, .number64),
    (NFTA_SET_ELEM_USERDATA, .userData),
  ])

  private static func policy<Kind: RawRepresentable<UInt32>>(
    _ list: [(Kind, AttributePolicy)]
  ) -> [Int: AttributePolicy] {
    Dictionary(uniqueKeysWithValues: list.map { (number($0.0), $0.1) })
  }

  /// The policy of a message of the nftables subsystem.
  static func of(_ type: UInt16) -> [Int: AttributePolicy] {
    switch UInt32(type & 0xff) {
    case NFT_MSG_NEWTABLE.rawValue...NFT_MSG_DELTABLE.rawValue, 26: table
    case NFT_MSG_NEWCHAIN.rawValue...NFT_MSG_DELCHAIN.rawValue, 27: chain
    case NFT_MSG_NEWRULE.rawValue...NFT_MSG_DELRULE.rawValue, 28: rule
    case NFT_MSG_NEWSET.rawValue...NFT_MSG_DELSET.rawValue, 29: set
    case NFT_MSG_NEWSETELEM.rawValue...NFT_MSG_DELSETELEM.rawValue, 30: elements
    default: [:]
    }
  }
}

extension Attributes {
  /// Refuses attributes that violate a policy.
  func check(_ policy: [Int: AttributePolicy]) throws(NetworkError) {
    let isAllowed = allSatisfy { policy[$0.type]?.allows($0.payload) ?? true }
    if !isAllowed { throw refusal(.rangeExceeded) }
  }
}
