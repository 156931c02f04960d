import ContainerNetworking
import Dispatch
import Playground
import TestSupport
import Testing

/// One row of a table of reachability.
struct Reach: Sendable {
  enum Means: Sendable {
    case ping
    /// A server there answers that.
    case fetch(UInt16, String)
  }

  var from: String
  var namespace: NetworkNamespace
  var to: String
  var address: String
  var means: Means
  var isExpected: Bool

  static func ping(
    _ from: (String, NetworkNamespace), _ to: (String, String), _ isExpected: Bool
  ) -> Reach {
    Reach(from: from.0, namespace: from.1, to: to.0, address: to.1, means: .ping, isExpected: isExpected)
  }

  static func fetch(
    _ from: (String, NetworkNamespace), _ to: (String, String), _ port: UInt16, _ greeting: String, _ isExpected: Bool
  ) -> Reach {
    Reach(
      from: from.0, namespace: from.1, to: to.0, address: to.1, means: .fetch(port, greeting), isExpected: isExpected)
  }

  /// Whether it was reached. Expected answers are retried: the first packet over a new link may be lost.
  func isReached(in world: Playground) -> Bool { isExpected ? waitUntil { answers(in: world) } : answers(in: world) }

  private func answers(in world: Playground) -> Bool {
    switch means {
    case .ping: (try? world.pings(address, from: namespace)) == true
    case .fetch(let port, let greeting): (try? world.fetch(address, port, from: namespace, within: 1)) == greeting
    }
  }
}

extension Playground {
  /// Tries every row concurrently, each on a thread of its own, so that a table takes as long as its slowest row.
  func check(_ rows: [Reach]) async {
    let reached = await withTaskGroup(of: (Int, Bool).self) { group in
      for (index, row) in rows.enumerated() {
        group.addTask {
          await withCheckedContinuation { continuation in
            DispatchQueue(label: "reach.\(index)").async {
              continuation.resume(returning: (index, row.isReached(in: self)))
            }
          }
        }
      }
      return await group.reduce(into: [Int: Bool]()) { $0[$1.0] = $1.1 }
    }
    for (index, row) in rows.enumerated() {
      #expect(reached[index] == row.isExpected, "\(row.from) → \(row.to) (\(row.address)) by \(row.means)")
    }
  }

  /// The clients' addresses as a server of ``Playground/serveConnections(port:in:)`` saw them, by the address called.
  func callers(at addresses: [String], _ port: UInt16, from namespace: NetworkNamespace) throws -> [String: String] {
    var callers: [String: String] = [:]
    for address in addresses {
      for _ in 0..<3 where callers[address] == nil {
        let lines = (try fetchAll(address, port, from: namespace) ?? "").replacing("::ffff:", with: "")
        let ends = lines.split(separator: "\n").map { $0.split(separator: " ") }
        // The server's end: its own address first, then the caller's.
        guard let ours = ends.first(where: { $0.count > 4 && $0[3] == "\(address):\(port)" }) else { continue }
        callers[address] = ours[4].lastIndex(of: ":").map { String(ours[4][..<$0]) }
      }
    }
    return callers
  }

  /// Makes the host's bridges call packet rules for frames, or not. A kernel without br_netfilter never does.
  func setBridgeNetfilter(_ callsRules: Bool) throws {
    for family in ["iptables", "ip6tables"] {
      let name = "net/bridge/bridge-nf-call-\(family)"
      guard (try? host.sysctl(name)) != nil else { continue }
      try host.setSysctl(name, to: callsRules ? "1" : "0")
    }
  }

  /// Sends the outside's packets for a subnet to the host.
  func routeFromOutside(to subnet: Subnet) throws {
    let via = subnet.family == .ipv4 ? Self.hostAddress : Self.hostIPv6Address
    try outside.routes.add(
      Route(to: subnet, via: try IPAddress(via), link: try outside.links.get("eth0").index))
  }
}

extension NetworkNamespace {
  /// The contents as text: links, addresses, routes, rules, and forwarding.
  func contents(_ world: Playground) throws -> String {
    var lines: [String] = []
    let links = try links.list()
    for link in links {
      lines.append("link \(link.name) \(link.kind ?? "-") \(link.flags.contains(.up) ? "up" : "down")")
      lines += try addresses.list(link: link.index).filter { !$0.address.address.isLinkLocal }
        .map { "  address \($0.address)" }.sorted()
      for setting in [
        "ipv4/conf/\(link.name)/forwarding", "ipv6/conf/\(link.name)/forwarding",
        "ipv6/conf/\(link.name)/force_forwarding", "ipv6/conf/\(link.name)/accept_ra",
      ] { lines.append("  \(setting) = \((try? sysctl("net/\(setting)")) ?? "-")") }
    }
    let names = Dictionary(uniqueKeysWithValues: links.map { ($0.index, $0.name) })
    lines += try routes.list().filter { $0.kind == .unicast && !$0.destination.network.isLinkLocal }
      .map {
        "route \($0.destination) via \($0.gateway.map { "\($0)" } ?? "-") dev \($0.link.flatMap { names[$0] } ?? "-")"
      }
      .sorted()
    for name in ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/all/force_forwarding"] {
      lines.append("\(name) = \((try? sysctl("net/\(name)")) ?? "-")")
    }
    lines.append(try world.output("nft", "list", "ruleset", in: self) ?? "nft failed")
    return lines.joined(separator: "\n")
  }

  /// The addresses of a link, as text; without those of the link alone, or only those.
  func addresses(of name: String, isLinkLocal: Bool = false) throws -> [String] {
    try addresses.list(link: try links.get(name).index).map(\.address)
      .filter { $0.address.isLinkLocal == isLinkLocal }.map(\.description)
  }

  /// The default routes of the main table, as `via ADDRESS dev NAME`.
  func defaultRoutes() throws -> [String] {
    let names = Dictionary(uniqueKeysWithValues: try links.list().map { ($0.index, $0.name) })
    return try routes.list().filter { $0.table == 254 && $0.kind == .unicast && $0.destination.prefixLength == 0 }
      .map { "via \($0.gateway.map { "\($0)" } ?? "-") dev \($0.link.flatMap { names[$0] } ?? "-")" }.sorted()
  }
}

/// The error that a call is refused with; a call that is not refused fails the test.
func refusal<Value: Sendable>(
  _ body: () async throws -> Value, sourceLocation: SourceLocation = #_sourceLocation
) async -> NetworkError? {
  await #expect(throws: NetworkError.self, sourceLocation: sourceLocation) { _ = try await body() }
}

extension NetworkOptions {
  /// Options with these subnets.
  init(_ subnets: [String], isInternal: Bool = false) throws {
    self.init(isInternal: isInternal, labels: [:])
    self.subnets = try subnets.map { try Subnet($0) }
    isIPv4Enabled = self.subnets.contains { $0.family == .ipv4 }
  }

  /// Options with a policy.
  init(_ subnet: String, isInternal: Bool = false, _ policy: NetworkPolicy) throws {
    self.init(subnet: try Subnet(subnet), isInternal: isInternal, policy: policy)
    isIPv4Enabled = subnets[0].family == .ipv4
  }
}
