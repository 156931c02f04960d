import ContainerNetworking
import Foundation
import Playground
import Testing

/// Foreign rules beside ours: their drops are found, and the rules stay.
@Suite(.timeLimit(.minutes(10))) struct CoexistenceTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    for (namespace, gateways) in [(world.host, [Playground.outsideAddress, Playground.outsideIPv6Address])] {
      for gateway in try gateways.map({ try IPAddress($0) }) {
        try namespace.routes.add(
          Route(to: .all(gateway.family), via: gateway, link: try namespace.links.get("eth0").index))
      }
    }
  }

  /// Loads a ruleset as `nft -f` does.
  private func load(_ rules: String) throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "coexistence-\(UUID()).nft")
    try Data(rules.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let (output, status) = try world.run(
      Command("nft", ["-f", file.path]), in: world.host, includesErrors: true)
    #expect(status == .exited(0), "\(output)")
  }

  private func nft(_ command: String) throws {
    let (output, status) = try world.run(Command("nft", [command]), in: world.host, includesErrors: true)
    #expect(status == .exited(0), "\(command): \(output)")
  }

  /// Everything but our tables, without counters.
  private func others() throws -> String {
    let all = "\n" + (try world.output("nft", "-s", "list", "ruleset", in: world.host) ?? "")
    return all.components(separatedBy: "\ntable ").filter { !$0.contains("containernetworking {") }
      .map { $0.trimmingCharacters(in: .newlines) }.sorted().joined(separator: "\n")
      .replacing(#/packets \d+ bytes \d+/#, with: "packets 0 bytes 0")
  }

  /// The output of `iptables-nft-save` and `nft list ruleset` on a host with Docker 28 and one network of it.
  private static let docker = """
    table ip nat {
      chain DOCKER { iifname "docker0" counter return; }
      chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        oifname != "docker0" ip saddr 172.30.0.0/16 counter masquerade
      }
      chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter jump DOCKER
      }
    }
    table ip filter {
      chain DOCKER { iifname != "docker0" oifname "docker0" counter drop; }
      chain DOCKER-BRIDGE { oifname "docker0" counter jump DOCKER; }
      chain DOCKER-CT { oifname "docker0" ct state related,established counter accept; }
      chain DOCKER-FORWARD {
        counter jump DOCKER-CT
        counter jump DOCKER-BRIDGE
        iifname "docker0" counter accept
      }
      chain DOCKER-USER { }
      chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump DOCKER-USER
        counter jump DOCKER-FORWARD
      }
    }
    """

  /// A part of the rules that ufw 0.36 creates with `ufw enable`.
  private static let ufw = """
    table ip filter {
      chain ufw-before-forward {
        ct state related,established counter accept
        meta l4proto icmp icmp type echo-request counter accept
        counter jump ufw-user-forward
      }
      chain ufw-user-forward { }
      chain ufw-user-input { tcp dport 22 counter accept; }
      chain ufw-before-input {
        iifname "lo" counter accept
        ct state related,established counter accept
        counter jump ufw-user-input
      }
      chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump ufw-before-forward
      }
      chain INPUT {
        type filter hook input priority filter; policy drop;
        counter jump ufw-before-input
      }
    }
    """

  /// A part of the rules of firewalld 1.3, with its default zone public and eth0 in it.
  private static let firewalld = """
    table inet firewalld {
      chain filter_FORWARD_POLICIES {
        iifname "eth0" oifname "eth0" jump filter_FWD_public
        iifname "eth0" jump filter_FWD_public
        jump filter_FWD_public
        reject with icmpx admin-prohibited
      }
      chain filter_FWD_public { return; }
      chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state vmap { invalid : drop }
        jump filter_FORWARD_POLICIES
      }
    }
    """

  /// A part of the rules of netavark 1.14.
  private static let netavark = """
    table inet netavark {
      chain NETAVARK-ISOLATION-1 { iifname "podman0" oifname != "podman0" jump NETAVARK-ISOLATION-2; }
      chain NETAVARK-ISOLATION-2 { oifname "podman0" drop; }
      chain FORWARD {
        type filter hook forward priority filter; policy accept;
        ct state invalid drop
        jump NETAVARK-ISOLATION-1
        ip daddr 10.88.0.0/16 ct state established,related accept
        ip saddr 10.88.0.0/16 accept
      }
    }
    """

  private func attach(_ policy: NetworkPolicy = NetworkPolicy()) async throws -> (web: Sandbox, bridge: String) {
    var options = try NetworkOptions(["10.60.0.0/24", "fd00:60::/64"])
    options.bridge = try InterfaceName("br-test")
    options.policy = policy
    try await controller.createNetwork("net", options: options)
    let web = try await controller.attach(
      "web", to: .network("net"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    return (web, "br-test")
  }

  /// One row: the rules' owner; the dropping table; and the remedy in nft's form.
  struct Case: Sendable, CustomTestStringConvertible {
    var owner: String
    var rules: String
    var table = ""
    var chain = ""
    var traffic: [Obstacle.Traffic] = []
    var remedies: [String] = []
    var cure: [String] = []
    var testDescription: String { owner }
  }

  static let cases = [
    Case(
      owner: "Docker", rules: docker, table: "ip filter", chain: "FORWARD", traffic: [.outgoing, .answers, .published],
      remedies: [
        "iptables -I DOCKER-USER -i br-test -j ACCEPT", "iptables -I DOCKER-USER -o br-test -j ACCEPT",
      ],
      cure: [
        "insert rule ip filter DOCKER-USER iifname br-test accept",
        "insert rule ip filter DOCKER-USER oifname br-test accept",
      ]),
    Case(
      owner: "ufw", rules: ufw, table: "ip filter", chain: "FORWARD", traffic: [.outgoing, .published],
      remedies: ["ufw route allow in on br-test", "ufw route allow out on br-test"],
      cure: [
        "add rule ip filter ufw-user-forward iifname br-test accept",
        "add rule ip filter ufw-user-forward oifname br-test accept",
        "add rule ip filter ufw-user-input iifname br-test accept",
      ]),
    Case(
      owner: "firewalld", rules: firewalld, table: "inet firewalld", chain: "filter_FORWARD", traffic: [.outgoing],
      remedies: [
        "firewall-cmd --permanent --zone=trusted --add-interface=br-test", "firewall-cmd --reload",
      ],
      cure: ["insert rule inet firewalld filter_FORWARD_POLICIES iifname br-test accept"]),
    Case(owner: "Podman", rules: netavark),
    Case(
      owner: "an administrator",
      rules: """
        table inet mine {
          set allowed { type ifname; elements = { "lo", "wg0" }; }
          chain f {
            type filter hook forward priority 5; policy accept;
            iifname @allowed accept
            meta l4proto { tcp, udp } accept
            iifname "br-*" oifname "eth0" counter drop
          }
        }
        """, table: "inet mine", chain: "f", traffic: [.outgoing],
      remedies: ["nft insert rule inet mine f iifname \"br-test\" accept"],
      cure: ["insert rule inet mine f iifname br-test accept"]),
  ]

  @Test(.timeLimit(.minutes(5)), arguments: cases) func whatBlocksUsIsFound(row: Case) async throws {
    try world.setBridgeNetfilter(false)
    try load(row.rules)
    let before = try others()
    let (web, _) = try await attach()
    #expect(try others() == before, "rules of \(row.owner) were changed")
    let all = try await controller.obstacles()
    let found = all.filter { $0.chain == row.chain }
    let isBlocked = !row.table.isEmpty
    #expect(found.count == (isBlocked ? 1 : 0), "\(all)")
    if let obstacle = found.first {
      #expect(obstacle.network == "net")
      #expect(obstacle.table == row.table)
      #expect(Set(obstacle.traffic) == Set(row.traffic), "\(obstacle)")
      #expect(
        obstacle.families == (row.table.hasPrefix("inet") ? [.ipv4, .ipv6] : [.ipv4]))
      #expect(obstacle.remedies == row.remedies)
      #expect(obstacle.isCertain == !row.owner.hasPrefix("an "))
    }
    // And the prediction is right: a TCP packet does not arrive.
    let server = try world.serve("hello", port: 70, in: world.outside)
    let inside = try world.serve("inside", port: 80, in: web.namespace)
    defer { for server in [server, inside] { server.stop() } }
    let isReached = !row.traffic.contains(.outgoing) || row.owner.hasPrefix("an ")
    await world.check([
      .fetch(("web", web.namespace), ("the outside", Playground.outsideAddress), 70, "hello", isReached),
      .fetch(
        ("outside", world.outside), ("web's port", Playground.hostAddress), 8080, "inside",
        !row.traffic.contains(.published)),
    ])
    for command in row.cure { try nft(command) }
    let rest = try await controller.obstacles()
    #expect(rest == [])
    await world.check([
      .fetch(("web", web.namespace), ("the outside", Playground.outsideAddress), 70, "hello", true),
      .fetch(("outside", world.outside), ("web's port", Playground.hostAddress), 8080, "inside", true),
    ])
    // A repair of ours leaves theirs as it is, and so does the end of all.
    let cured = try others()
    try nft("delete table inet containernetworking")
    #expect(try await controller.reconcile().remaining == [])
    #expect(try others() == cured)
    try await controller.removeAll()
    #expect(try others() == cured)
  }

  @Test(.timeLimit(.minutes(5))) func theHostsOwnWayIsLookedAtToo() async throws {
    try load(Self.ufw)
    _ = try await attach()
    let input = try await controller.obstacles().first { $0.chain == "INPUT" }
    #expect(input?.traffic == [.toHost])
    #expect(input?.remedies == ["ufw allow in on br-test"])
    // By port 22 it might pass: an unknown property counts as not matching.
    #expect(input?.isCertain == false)
    #expect(input?.description.contains("packets from containers to the host") == true)
    try await controller.removeAll()
  }

  /// With br_netfilter, traffic between containers of one network also passes packet rules.
  @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func bridgedFramesInRulesOfPackets(callsRules: Bool)
    async throws
  {
    guard (try? world.host.sysctl("net/bridge/bridge-nf-call-iptables")) != nil else { return }
    try world.setBridgeNetfilter(callsRules)
    try load("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; } ; }")
    let (web, _) = try await attach()
    try await controller.attach("db", to: .network("net"))
    let between = try await controller.obstacles().filter { $0.traffic.contains(.betweenContainers) }
    #expect(between.count == (callsRules ? 1 : 0))
    #expect(between.first?.isByBridgeNetfilter ?? true)
    if callsRules { #expect(between[0].description.contains("bridge-nf-call-iptables") == true) }
    await world.check([
      .ping(("web", web.namespace), ("db", "10.60.0.3"), !callsRules),
      .ping(("web", web.namespace), ("db", "fd00:60::3"), true),
    ])
    try load("table bridge theirs { chain f { type filter hook forward priority 0; policy drop; } ; }")
    let frames = try await controller.obstacles().first { $0.table == "bridge theirs" }
    #expect(frames?.traffic == [.betweenContainers] && frames?.families == [.ipv4, .ipv6])
    try await controller.removeAll()
  }

  @Test func withoutNetworksThereIsNothingToBlock() async throws {
    try world.setBridgeNetfilter(false)
    try load(Self.docker)
    #expect(try await controller.obstacles() == [])
    try await controller.createNetwork("inner", options: NetworkOptions(["10.60.0.0/24"], isInternal: true))
    let found = try await controller.obstacles()
    #expect(found == [], "nothing of an internal network is forwarded")
    try await controller.removeAll()
  }

  @Test func anAddressThatTheHostLostIsADifference() async throws {
    let eth0 = try world.host.links.get("eth0").index
    try world.host.addresses.add(InterfaceAddress("203.0.113.9/24"), to: eth0)
    _ = try await attach(NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.9")))
    #expect(try await controller.differences() == [])
    try world.host.addresses.remove(InterfaceAddress("203.0.113.9/24"), from: eth0)
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.sourceAddress])
    #expect(found.first?.detail.contains("203.0.113.9, which is not an address of this host") == true)
    try await controller.removeAll()
  }

  // MARK: - The user's own rules

  /// A drop before ours is final; rules after ours see only accepted packets; a mark overrules ours.
  @Test(.timeLimit(.minutes(5))) func hooksBeforeAndAfter() async throws {
    let (web, _) = try await attach()
    let subnet = try Subnet("10.60.0.0/24")
    try world.routeFromOutside(to: subnet)
    let servers = [
      try world.serve("hello", port: 80, in: web.namespace), try world.serve("direct", port: 81, in: web.namespace),
    ]
    defer { for server in servers { server.stop() } }
    let published = { (isExpected: Bool) in
      Reach.fetch(
        ("outside", world.outside), ("web's port", Playground.hostAddress), 8080, "hello", isExpected)
    }
    let direct = { (isExpected: Bool) in
      Reach.fetch(("outside", world.outside), ("web itself", "10.60.0.2"), 81, "direct", isExpected)
    }
    await world.check([published(true), direct(false)])

    // Rules after ours see exactly the packets that ours accept.
    try load(
      """
      table inet mine {
        counter seen_published { }
        counter seen_direct { }
        chain after {
          type filter hook forward priority filter + 1; policy accept;
          meta l4proto tcp ct original proto-dst 8080 counter name seen_published
          ip daddr 10.60.0.2 tcp dport 81 counter name seen_direct
        }
        chain before { type filter hook forward priority filter - 1; policy accept; }
      }
      """)
    await world.check([published(true), direct(false)])
    let counters = try #require(try world.output("nft", "list", "counters", "table", "inet", "mine", in: world.host))
    let packets = counters.matches(of: #/packets (\d+)/#).map { Int($0.1) ?? 0 }
    #expect(packets.count == 2 && packets[0] > 0 && packets[1] == 0, "\(counters)")

    // A rule before ours drops packets that ours would accept; by the original port, before translation.
    try nft("add rule inet mine before meta l4proto tcp ct original proto-dst 8080 ip saddr 203.0.113.2 drop")
    await world.check([published(false), direct(false)])
    try nft("flush chain inet mine before")
    // To accept before ours is to let ours decide; to mark is to overrule them.
    try nft("add rule inet mine before tcp dport 81 accept")
    await world.check([published(true), direct(false)])
    try nft("flush chain inet mine before")
    let mark = "0x" + String(NetworkController.acceptMark, radix: 16)
    try nft("add rule inet mine before tcp dport 81 meta mark set \(mark)")
    await world.check([published(true), direct(true)])

    // They are in a table of the user's own: changes of ours do not affect them.
    let theirs = try others()
    for command in ["flush table inet containernetworking", "delete table inet containernetworking"] {
      try nft(command)
      #expect(try await controller.reconcile().remaining == [])
      #expect(try others() == theirs)
      await world.check([published(true), direct(true)])
    }
    try await controller.removeAll()
    #expect(try others() == theirs)
  }

  /// The same between isolated containers, in the bridge family.
  @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func hooksAmongFrames(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let (web, _) = try await attach(NetworkPolicy(allowsContainerTraffic: false))
    let db = try await controller.attach("db", to: .network("net"))
    let servers = [
      try world.serve("hello", port: 80, in: web.namespace), try world.serve("other", port: 81, in: web.namespace),
    ]
    defer { for server in servers { server.stop() } }
    let rows = { (isMarked: Bool) in
      [
        Reach.fetch(("db", db.namespace), ("web", "10.60.0.2"), 80, "hello", isMarked),
        .fetch(("db", db.namespace), ("web", "10.60.0.2"), 81, "other", false),
      ]
    }
    await world.check(rows(false))
    let mark = "0x" + String(NetworkController.acceptMark, radix: 16)
    try load(
      """
      table bridge mine {
        chain before {
          type filter hook forward priority -210; policy accept;
          ether type arp meta mark set \(mark)
          tcp dport 80 meta mark set \(mark)
          tcp sport 80 meta mark set \(mark)
        }
      }
      """)
    await world.check(rows(true))
    try await controller.removeAll()
  }
}
