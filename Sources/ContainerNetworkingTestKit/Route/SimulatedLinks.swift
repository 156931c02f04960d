import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// `RTM_GETLINK` and `RTM_DELLINK`, and the identification of a link in a request.
extension SimulatedState {
  /// `struct ifinfomsg` and what follows.
  struct LinkMessage {
    var index: Int32
    var flags: UInt32
    var change: UInt32
    var attributes: Attributes

    init(_ payload: ArraySlice<UInt8>) throws(NetworkError) {
      var reader = PayloadReader(payload)
      try reader.skip(4)
      index = try reader.read()
      flags = try reader.read()
      change = try reader.read()
      attributes = try Attributes(reader.rest)
    }

    func integer(_ type: Int) throws(NetworkError) -> Int32? { try attributes[type: type]?.integer() }

    /// The requested name, checked by the kernel's attribute policy.
    func name() throws(NetworkError) -> String? {
      guard let attribute = attributes[type: Int(IFLA_IFNAME)] else { return nil }
      guard attribute.payload.prefix(while: { $0 != 0 }).count < 16 else {
        throw refusal(.rangeExceeded, "Attribute failed policy validation")
      }
      return attribute.string.isEmpty ? nil : attribute.string
    }
  }

  func find(_ message: LinkMessage, in namespace: UInt64) throws(NetworkError) -> SimulatedLink? {
    if message.index > 0 { return namespaces[namespace]?.links[message.index] }
    let name = try message.name() ?? message.attributes[type: Int(IFLA_ALT_IFNAME)]?.string
    guard let name else { return nil }
    return namespaces[namespace]?.link(named: name)
  }

  mutating func getLinks(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let message = try LinkMessage(request.payload)
    if request.flags.contains(.dump) {
      let master = try message.integer(Int(IFLA_MASTER))
      let kind = try message.attributes[type: Int(IFLA_LINKINFO)]?.nested()[type: Int(IFLA_INFO_KIND)]?.string
      let links = (namespaces[namespace]?.links.values.sorted { $0.index < $1.index } ?? []).filter { link in
        // -1 asks for those without one.
        (master == nil || link.master == (master == -1 ? nil : master)) && (kind == nil || link.kind == kind)
      }
      var replies: [SimulatedReply] = []
      for link in links { replies.append(describe(link, in: namespace)) }
      return replies
    }
    let isNamed = [Int(IFLA_IFNAME), Int(IFLA_ALT_IFNAME)].contains { message.attributes[type: $0] != nil }
    guard message.index > 0 || isNamed else { throw refusal(.invalidArgument) }
    guard let link = try find(message, in: namespace) else { throw refusal(.noDevice) }
    return [describe(link, in: namespace)]
  }

  mutating func deleteLink(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let message = try LinkMessage(request.payload)
    if message.index == 0, let group: UInt32 = try message.attributes[type: Int(IFLA_GROUP)]?.integer() {
      try deleteLinks(ofGroup: group, in: namespace)
      return []
    }
    guard let link = try find(message, in: namespace) else {
      throw refusal(
        message.index > 0 || message.attributes[type: Int(IFLA_IFNAME)] != nil ? .noDevice : .invalidArgument)
    }
    guard link.kind != nil else { throw refusal(.notSupportedOnSocket) }
    removeLink(link.index, in: namespace)
    return []
  }

  /// Deletes all of them, or none if one cannot be deleted.
  private mutating func deleteLinks(ofGroup group: UInt32, in namespace: UInt64) throws(NetworkError) {
    guard group != 0 else { throw refusal(.notPermitted) }
    let links = namespaces[namespace]?.links.values.filter { $0.group == group } ?? []
    guard !links.isEmpty else { throw refusal(.noDevice) }
    guard links.allSatisfy({ $0.kind != nil }) else { throw refusal(.notSupportedOnSocket) }
    for link in links.sorted(by: { $0.index < $1.index }) { removeLink(link.index, in: namespace) }
  }

  /// The namespace of a request's descriptor or process id; its own without either.
  func target(_ message: LinkMessage, from namespace: UInt64) throws(NetworkError) -> UInt64 {
    if let descriptor = try message.integer(Int(IFLA_NET_NS_FD)) {
      guard let target = self.namespace(ofDescriptor: descriptor) else { throw refusal(.invalidArgument) }
      return target
    }
    if let process = try message.integer(Int(IFLA_NET_NS_PID)) {
      guard process == ownProcess else { throw refusal(.noSuchObject) }
      return Self.initialNamespace
    }
    return namespace
  }
}
