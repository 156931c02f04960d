import CContainerNetworking
import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// nftables objects as messages, for replies and for notifications of changes.
extension SimulatedTable {
  func describe(_ type: nf_tables_msg_types) -> SimulatedReply {
    var body = SimulatedState.header(family)
    body.append(contentsOf: attributes)
    body.attribute(number(NFTA_TABLE_HANDLE), bigEndian: handle)
    body.attribute(number(NFTA_TABLE_USE), bigEndian: UInt32(chains.count + sets.count))
    return SimulatedState.reply(type, body)
  }

  func describe(_ chain: SimulatedChain, _ type: nf_tables_msg_types) -> SimulatedReply {
    var body = SimulatedState.header(family)
    body.append(contentsOf: chain.attributes)
    body.attribute(number(NFTA_CHAIN_HANDLE), bigEndian: chain.handle)
    body.attribute(number(NFTA_CHAIN_USE), bigEndian: UInt32(chain.rules.count))
    return SimulatedState.reply(type, body)
  }

  func describe(_ rule: SimulatedRule, _ type: nf_tables_msg_types) -> SimulatedReply {
    var body = SimulatedState.header(family)
    body.append(contentsOf: rule.attributes)
    body.attribute(number(NFTA_RULE_HANDLE), bigEndian: rule.handle)
    return SimulatedState.reply(type, body)
  }

  func describe(_ set: SimulatedSet, _ type: nf_tables_msg_types) -> SimulatedReply {
    var body = SimulatedState.header(family)
    body.append(contentsOf: set.attributes)
    body.attribute(number(NFTA_SET_HANDLE), bigEndian: set.handle)
    return SimulatedState.reply(type, body)
  }

  func describe(
    _ elements: some Sequence<SimulatedElement>, of set: SimulatedSet, _ type: nf_tables_msg_types
  ) -> SimulatedReply {
    var body = SimulatedState.header(family)
    body.attribute(number(NFTA_SET_ELEM_LIST_TABLE), string: name)
    body.attribute(number(NFTA_SET_ELEM_LIST_SET), string: set.name)
    body.nested(number(NFTA_SET_ELEM_LIST_ELEMENTS)) { list in
      for element in elements { list.attribute(number(NFTA_LIST_ELEM) | 0x8000, bytes: element.attributes) }
    }
    return SimulatedState.reply(type, body)
  }

  /// The removal of a table with its rules, sets and chains.
  func describeRemoval() -> [SimulatedReply] {
    chains.flatMap(\.rules).map { describe($0, NFT_MSG_DELRULE) } + sets.map { describe($0, NFT_MSG_DELSET) }
      + chains.map { describe($0, NFT_MSG_DELCHAIN) } + [describe(NFT_MSG_DELTABLE)]
  }
}

extension SimulatedNamespace {
  /// `NFT_MSG_NEWGEN`: the number of the ruleset, and the author of the change.
  func describeGeneration() -> SimulatedReply {
    var body = SimulatedState.header(0)
    body.attribute(number(NFTA_GEN_ID), bigEndian: generation)
    body.attribute(number(NFTA_GEN_PROC_PID), bigEndian: UInt32(bitPattern: getpid()))
    body.attribute(number(NFTA_GEN_PROC_NAME), string: String(Self.processName.prefix(15)))
    return SimulatedState.reply(NFT_MSG_NEWGEN, body)
  }

  private static var processName: Substring {
    CommandLine.arguments.first?.split(separator: "/").last ?? "simulated"
  }
}

extension SimulatedState {
  /// Notifies the listeners of a transaction's changes and of its completion.
  mutating func notifyTransaction(in namespace: UInt64) {
    guard var content = namespaces[namespace] else { return }
    for event in content.changes + [content.describeGeneration()] {
      notify(event, group: Int(NFNLGRP_NFTABLES.rawValue), in: namespace, family: .netfilter)
    }
    content.changes = []
    namespaces[namespace] = content
  }
}
