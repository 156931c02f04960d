import Netlink
import NetworkPrimitives
import SystemPackage

/// The packets to trace, as narrowly as they are known.
struct TraceMatch {
  /// An address and a port; nil for any.
  struct End: Hashable {
    var address: IPAddress?
    var port: UInt16?
  }

  var family: AddressFamily
  /// The number of the protocol.
  var transport: UInt8
  var source: End
  /// The link that they come in by.
  var link: InterfaceName?
  /// The possible destinations.
  var destinations: [End]
  /// The answerers, with the addresses that their packets may have.
  var answerers: [End]

  fileprivate var isEcho: Bool { transport == 1 || transport == 58 }

  /// Whether a packet is a request, not an answer.
  func begins(_ packet: TracedPacket) -> Bool {
    guard packet.transport == transport, packet.icmpType != 0, packet.icmpType != 129 else { return false }
    func fits(_ end: End, _ address: IPAddress?, _ port: UInt16?) -> Bool {
      (end.address == nil || end.address == address) && (end.port == nil || end.port == port)
    }
    return fits(source, packet.source, packet.sourcePort)
      && destinations.contains {
        fits(isEcho ? End(address: $0.address) : $0, packet.destination, packet.destinationPort)
      }
  }
}

/// Two temporary tables that match the packets, with a chain at each hook where the packets are observed. The kernel
/// deletes them with the socket that made them, however it closes.
struct TraceTable {
  let name: String
  private let connection: NetlinkConnection

  /// The priorities of our observing chains, first and last; all other chains are between them.
  private static let first: Int32 = -450, tracked: Int32 = -150, last: Int32 = 400

  /// Makes the tables and their rules.
  ///
  /// - Throws: `.unsupported` by a kernel without tables owned by a socket; its refusals.
  init(_ match: TraceMatch, in host: NetworkNamespace) throws(NetworkError) {
    connection = NetlinkConnection(try host.kernel.openSocket(.netfilter, in: host.handle))
    name = "containernetworking-trace-\(String(UInt32.random(in: 0 ... .max), radix: 16))"
    var changes = NftTransaction()
    let inet = NftTable(family: .inet, name: name)
    let bridge = NftTable(family: .bridge, name: name)
    try changes.add(inet, exclusive: true, isOwned: true)
    try changes.add(bridge, exclusive: true, isOwned: true)
    for table in [inet, bridge] {
      for hook in [NftChain.Hook.prerouting, .input, .forward, .output, .postrouting] {
        let early = NftChain(
          table: table, name: "early-\(hook)", base: NftChain.Base(.filter, hook: hook, priority: Self.first))
        try changes.add(early, exclusive: true)
        let begins = hook == .prerouting || (hook == .output && table == inet)
        if begins {
          for rule in match.rules + (table == bridge ? match.questions : []) {
            try changes.add(NftRule(early, rule + [.trace]))
          }
        }
        try changes.add(
          NftChain(table: table, name: "late-\(hook)", base: NftChain.Base(.filter, hook: hook, priority: Self.last)),
          exclusive: true)
        // Answers are matched by their connection, whatever their addresses have become.
        if begins, table == inet {
          let chain = NftChain(
            table: table, name: "tracked-\(hook)", base: NftChain.Base(.filter, hook: hook, priority: Self.tracked))
          try changes.add(chain, exclusive: true)
          for rule in match.trackedRules { try changes.add(NftRule(chain, rule + [.trace])) }
        }
      }
    }
    do throws(NetworkError) { try changes.commit(over: connection) } catch {
      guard error.kernel?.errno == .notSupportedOnSocket else { throw error }
      var error = error
      error.reason = "this kernel has no tables owned by a socket; use Linux 5.12 or later"
      throw error
    }
  }

  /// Removes the tables.
  func remove() throws(NetworkError) {
    var changes = NftTransaction()
    for family in [NftFamily.inet, .bridge] { changes.delete(NftTable(family: family, name: name)) }
    try changes.commit(over: connection)
  }
}

extension TraceMatch {
  /// Matches requests and answers by their headers.
  fileprivate var rules: [[NftStatement]] {
    let there = destinations.map { destination in
      let link = self.link.map { [NftStatement.match(.incomingInterface, .equal(.interface($0)))] } ?? []
      return link + headers(from: source, to: destination, isAnswer: false)
    }
    let back = answerers.map { headers(from: $0, to: End(address: nil, port: source.port), isAnswer: true) }
    return there + back
  }

  /// Matches the neighbour solicitations that precede a packet.
  fileprivate var questions: [[NftStatement]] {
    destinations.compactMap { destination in
      guard let source = source.address, let target = destination.address else { return nil }
      return family == .ipv4
        ? [.match(.arpSenderIPv4, .equal(.address(source))), .match(.arpTargetIPv4, .equal(.address(target)))]
        : [
          .match(.sourceIPv6, .equal(.address(source))), .match(.transportProtocol, .equal(.icmpv6)),
          .match(.icmpType, .equal(.number(135))), .match(.advertisedIPv6, .equal(.address(target))),
        ]
    }
  }

  private func headers(from: End, to: End, isAnswer: Bool) -> [NftStatement] {
    var statements: [NftStatement] = []
    let isIPv4 = family == .ipv4
    if let address = from.address {
      statements.append(.match(isIPv4 ? .sourceIPv4 : .sourceIPv6, .equal(.address(address))))
    }
    if let address = to.address {
      statements.append(.match(isIPv4 ? .destinationIPv4 : .destinationIPv6, .equal(.address(address))))
    }
    statements.append(.match(.transportProtocol, .equal(.number(transport))))
    if isEcho {
      let type: UInt8 = isIPv4 ? (isAnswer ? 0 : 8) : (isAnswer ? 129 : 128)
      statements.append(.match(.icmpType, .equal(.number(type))))
      if let port = isAnswer ? to.port : from.port { statements.append(.match(.icmpIdentifier, .equal(.port(port)))) }
    } else {
      if let port = from.port { statements.append(.match(.sourcePort, .equal(.port(port)))) }
      if let port = to.port { statements.append(.match(.destinationPort, .equal(.port(port)))) }
    }
    return statements
  }

  /// Matches everything of the connections that the packets start.
  fileprivate var trackedRules: [[NftStatement]] {
    let isIPv4 = family == .ipv4
    return destinations.map { destination in
      var statements: [NftStatement] = [
        .match(.family, .equal(.number(family.rawValue))), .match(.transportProtocol, .equal(.number(transport))),
        .match(.connectionDirection, .equal(.number(1))),
      ]
      if let address = source.address {
        statements.append(
          .match(isIPv4 ? .originalSourceIPv4 : .originalSourceIPv6, .equal(.address(address))))
      }
      if let port = source.port { statements.append(.match(.originalSourcePort, .equal(.port(port)))) }
      if let address = destination.address {
        statements.append(
          .match(isIPv4 ? .originalDestinationIPv4 : .originalDestinationIPv6, .equal(.address(address))))
      }
      if !isEcho, let port = destination.port {
        statements.append(.match(.originalDestinationPort, .equal(.port(port))))
      }
      return statements
    }
  }
}
