import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// Requests for one or all nftables objects.
extension SimulatedState {
  func get(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    guard let content = namespaces[namespace] else { throw refusal(.invalidArgument) }
    let message = try NetfilterMessage(request)
    let subsystem = request.type >> 8
    if subsystem == UInt16(NFNL_SUBSYS_CTNETLINK) { return try answerConntrack(request, message) }
    guard subsystem == UInt16(NFNL_SUBSYS_NFTABLES) else { throw refusal(.invalidArgument) }
    let all = request.flags.contains(.dump)
    let found: [SimulatedReply]
    switch UInt32(request.type & 0xff) {
    case NFT_MSG_GETTABLE.rawValue: found = content.tables(message, all)
    case NFT_MSG_GETCHAIN.rawValue: found = content.chains(message, all)
    case NFT_MSG_GETRULE.rawValue: found = try content.rules(message, all)
    case NFT_MSG_GETSET.rawValue: found = content.sets(message, all)
    case NFT_MSG_GETSETELEM.rawValue: found = try content.elements(message, all)
    case NFT_MSG_GETGEN.rawValue:
      found = [content.describeGeneration()]
    case NFT_MSG_GETOBJ.rawValue, NFT_MSG_GETFLOWTABLE.rawValue: found = []
    default: throw refusal(.invalidArgument)
    }
    guard all || !found.isEmpty else { throw refusal(.noSuchFileOrDirectory) }
    return found
  }

  static func header(_ family: UInt8) -> PayloadWriter {
    var body = PayloadWriter()
    body.append(family)
    body.appendZeros(3)
    return body
  }

  static func reply(_ type: nf_tables_msg_types, _ body: PayloadWriter) -> SimulatedReply {
    SimulatedReply(
      type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: type.rawValue), payload: body.bytes)
  }
}

extension SimulatedNamespace {
  private func named(_ message: NetfilterMessage, _ type: Int) -> [SimulatedTable] {
    let name = message.name(type)
    return tables.filter { table in
      (message.family == 0 || table.family == message.family) && (name == nil || table.name == name)
    }
  }

  fileprivate func tables(_ message: NetfilterMessage, _ all: Bool) -> [SimulatedReply] {
    named(message, number(NFTA_TABLE_NAME)).map { $0.describe(NFT_MSG_NEWTABLE) }
  }

  fileprivate func chains(_ message: NetfilterMessage, _ all: Bool) -> [SimulatedReply] {
    let name = message.name(number(NFTA_CHAIN_NAME))
    return named(message, number(NFTA_CHAIN_TABLE)).flatMap { table in
      table.chains.filter { all || $0.name == name }.map { table.describe($0, NFT_MSG_NEWCHAIN) }
    }
  }

  fileprivate func rules(_ message: NetfilterMessage, _ all: Bool) throws(NetworkError) -> [SimulatedReply] {
    let name = message.name(number(NFTA_RULE_CHAIN))
    let handle = try message.handle(number(NFTA_RULE_HANDLE))
    return named(message, number(NFTA_RULE_TABLE)).flatMap { table in
      table.chains.filter { name == nil || $0.name == name }.flatMap { chain in
        chain.rules.filter { all || $0.handle == handle }.map { table.describe($0, NFT_MSG_NEWRULE) }
      }
    }
  }

  fileprivate func sets(_ message: NetfilterMessage, _ all: Bool) -> [SimulatedReply] {
    let name = message.name(number(NFTA_SET_NAME))
    return named(message, number(NFTA_SET_TABLE)).flatMap { table in
      table.sets.filter { all || $0.name == name }.map { table.describe($0, NFT_MSG_NEWSET) }
    }
  }

  /// The elements of a set, a hundred to a message; or only those of the requested keys.
  fileprivate func elements(_ message: NetfilterMessage, _ all: Bool) throws(NetworkError) -> [SimulatedReply] {
    let table = tables[try self.table(message, number(NFTA_SET_ELEM_LIST_TABLE))]
    let index = try set(message, in: try self.table(message, number(NFTA_SET_ELEM_LIST_TABLE)))
    let set = table.sets[index]
    var found = set.elements
    if !all {
      found = []
      guard let list = try message.attributes[type: number(NFTA_SET_ELEM_LIST_ELEMENTS)]?.nested() else {
        throw refusal(.invalidArgument)
      }
      for item in list {
        let key = try SimulatedElement(item, of: set).key
        guard let element = set.elements.first(where: { $0.key == key }) else {
          throw refusal(.noSuchFileOrDirectory)
        }
        found.append(element)
      }
    }
    return Self.messages(of: found).map { elements in
      table.describe(elements, of: set, NFT_MSG_NEWSETELEM)
    }
  }

  /// A hundred elements at most, and no more than fit one attribute.
  private static func messages(of elements: [SimulatedElement]) -> [ArraySlice<SimulatedElement>] {
    var messages: [ArraySlice<SimulatedElement>] = []
    var rest = elements[...]
    while let first = rest.first {
      var bytes = first.attributes.count + 8
      let more = rest.dropFirst().prefix(99).prefix { element in
        bytes += element.attributes.count + 8
        return bytes <= 32 << 10
      }
      messages.append(rest.prefix(1 + more.count))
      rest = rest.dropFirst(1 + more.count)
    }
    return messages
  }
}
