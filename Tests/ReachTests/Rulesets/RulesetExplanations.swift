/// The purpose of each table, chain, rule and set of ours. The page's test fails for a missing or superfluous one.
enum Explanations {
  static let tables = [
    "inet containernetworking":
      "The rules for IPv4 and IPv6 packets, from a bridge to the host or routed by the host.",
    "bridge containernetworking":
      "The rules for frames between a bridge's ports, and from a port to the host; they come before the packet rules.",
  ]

  static let chains = [
    "inet guard": "Drops before routing and connection tracking.",
    "inet forward":
      "Routed packets. Packets without one of our bridges or uplinks as a link pass untouched.",
    "inet publish": "Where a published port leads. The port of one address comes before that of all.",
    "inet prerouting": "Connections that come to the host.",
    "inet output": "Connections of the host itself.",
    "inet postrouting": "The source address of connections that leave the host, for outside or for a bridge.",
    "bridge source":
      "A container's own frames: only its own addresses as the source. All other frames of it are dropped.",
    "bridge control":
      "Frames to the bridge itself, to the sixteen addresses that no bridge forwards and that do not come by `source`.",
    "bridge apart": "From one container to another of the same bridge.",
  ]

  private static let masqueradeHairpin =
    "Hairpin: a container asks for a published port of one on its own bridge, or for its own. The answer must come "
    + "back by the host, so the packet gets the host's address."
  private static let masqueradeBesides =
    "The same for a container that is also on the asker's network, at another address than the published one; and for "
    + "the asker itself."
  private static let fixedSource = "Out of the host: the address of the user's choice, if there is one for this bridge."
  private static let masquerade = "Out of the host: the address of the link that it leaves by."
  private static let uplink =
    "Forwarding is on at this link for our networks alone: its packets go to one of our bridges, or nowhere. The link "
    + "is known by its index, even if it is renamed; a link adopted by a network counts as a bridge."
  private static let open =
    "Gateway mode `nat-unprotected`: from outside, though not from another of our networks, every port."
  private static let ping = "Gateway mode `routed`: pings, from outside and from our other networks."
  private static let routed = "Gateway mode `routed`: published container ports."
  private static let trusted = "From a link that the network trusts: published container ports."
  private static let publishedAt =
    "Published on one address of the host; and port 53 of a gateway, to the name server's port."
  private static let published = "Published on all addresses."
  private static let others = "A packet that no rule above accepts is not from the container's own address."

  static let rules = [
    "iifname != \"lo\" ip daddr 127.0.0.0/8 counter drop":
      "Ports published on 127.0.0.1 are translated before the kernel's check for martians, and bridges route "
      + "127.0.0.0/8. Only the host may reach its own loopback.",
    "iifname @bridges ip saddr 127.0.0.0/8 counter drop": "Nor does a container send as 127.0.0.1.",
    "iifname @internal_bridges ip daddr . iifname != @internal_gateways4 fib daddr type local counter drop":
      "An internal network reaches the host by its gateway's address, and by no other address of the host.",
    "iifname @internal_bridges ip6 daddr != fe80::/10 ip6 daddr . iifname != @internal_gateways6 fib daddr type local counter drop":
      "The same by IPv6. Neighbours find each other by link-local addresses.",
    "meta mark 0x636e6574 accept": "A user's rule before ours has marked it: `NetworkController.acceptMark`.",
    "meta nfproto ipv4 iif @uplinks4 oifname != @bridges iifname != @bridges counter drop": uplink,
    "meta nfproto ipv6 iif @uplinks6 oifname != @bridges iifname != @bridges counter drop": uplink,
    "iifname . oifname @same_bridge accept":
      "Within one bridge, where br_netfilter shows it here or a packet is sent back by a published port; not with `icc` off.",
    "iifname @internal_bridges counter drop": "Out of an internal network.",
    "oifname @internal_bridges counter drop": "Into an internal network.",
    "oifname @bridges ct state established,related accept": "Answers, and errors about sent packets, to a container.",
    "iifname @bridges ct state established,related accept": "The same from a container.",
    "oifname @bridges ct status dnat accept": "To a container by a published port: `publish` has translated it.",
    "meta nfproto ipv4 iifname != @bridges oifname @open_bridges4 accept": open,
    "meta nfproto ipv6 iifname != @bridges oifname @open_bridges6 accept": open,
    "oifname @ping_bridges4 icmp type echo-request accept": ping,
    "oifname @ping_bridges6 icmpv6 type echo-request accept": ping,
    "oifname @bridges ip daddr . meta l4proto . th dport @routed_ports4 accept": routed,
    "oifname @bridges ip6 daddr . meta l4proto . th dport @routed_ports6 accept": routed,
    "iifname != @bridges iifname . oifname @trusted_links ip daddr . meta l4proto . th dport @direct_ports4 accept":
      trusted,
    "iifname != @bridges iifname . oifname @trusted_links ip6 daddr . meta l4proto . th dport @direct_ports6 accept":
      trusted,
    "oifname @bridges counter drop": "Nothing else gets to a container: from outside, or from another network.",
    "iifname @bridges accept": "From a container out.",
    "dnat ip to ip daddr . meta l4proto . th dport map @published_at4": publishedAt,
    "dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6": publishedAt,
    "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @published4": published,
    "meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @published6": published,
    "ip6 daddr ::1 return": "No packet to or from `::1` is routed: it is left to a forwarder, or refused.",
    "fib daddr type local jump publish": "For an address of the host: it may be for a published port.",
    "ct status dnat ip saddr . oifname @endpoints4 masquerade": masqueradeHairpin,
    "ct status dnat ip6 saddr . oifname @endpoints6 masquerade": masqueradeHairpin,
    "ct status dnat ip daddr . iifname @besides4 masquerade": masqueradeBesides,
    "ct status dnat ip6 daddr . iifname @besides6 masquerade": masqueradeBesides,
    "oifname @bridges ip saddr 127.0.0.0/8 masquerade":
      "The host's 127.0.0.1: a container could not answer to that address.",
    "meta nfproto ipv4 oifname != @bridges snat ip to iifname map @source_addresses4": fixedSource,
    "meta nfproto ipv6 oifname != @bridges snat ip6 to iifname map @source_addresses6": fixedSource,
    "meta nfproto ipv4 iifname @nat_bridges4 oifname != @bridges masquerade": masquerade,
    "meta nfproto ipv6 iifname @nat_bridges6 oifname != @bridges masquerade": masquerade,
    "iifname != @ports accept": "Not from a container of ours: a port that another program has put on the bridge.",
    "iifname . ether saddr != @port_macs counter drop": "Not from its own hardware address.",
    "iifname . ip saddr @port_addresses4 accept": "IPv4 from its own address.",
    "icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @port_addresses6 counter drop":
      "A neighbour advertisement for an address that is not its own (RFC 4861, 4.4).",
    "icmpv6 type nd-router-advert counter drop":
      "A router advertisement: the others would use it as their gateway (RFC 4861, 4.2).",
    "iifname . ip6 saddr @port_addresses6 accept": "IPv6 from its own address, or its link-local one.",
    "ip6 saddr :: meta l4proto ipv6-icmp accept":
      "From a container without an IPv6 address yet: the check for a duplicate (RFC 4862, 5.4), and reports of groups.",
    "iifname . arp saddr ether != @port_macs counter drop": "ARP with another's hardware address.",
    "iifname . arp saddr ip @port_addresses4 accept": "ARP with its own address.",
    "arp saddr ip 0.0.0.0 accept":
      "From a container without an IPv4 address yet: the check for a duplicate (RFC 5227).",
    "meta protocol ip counter drop": others,
    "meta protocol ip6 counter drop": others,
    "meta protocol arp counter drop": others,
    "meta protocol 8021q counter drop":
      "A VLAN tag behind another: the receiver would take both off and find a packet that no rule has seen.",
    "meta protocol 8021ad counter drop": "The same, by 802.1ad.",
    "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 iifname @ports iifname . ether saddr != @port_macs counter drop":
      "Not from its own hardware address. Our own bridges learn no address from such a frame.",
    "iifname @further_bridges notrack accept":
      "Frames of a further bridge, by br_netfilter: they also pass the first bridge, where they are tracked and decided on.",
    "iifname @further_ports counter drop":
      "A further bridge is a switch alone: the host is reached by the first one, and its rules.",
    "iifname . oifname @trunks meta pkttype != host counter drop":
      "Nothing goes back by the trunk that it came by, unless br_netfilter has redirected it to a published port.",
    "iifname . oifname @trunks ether saddr set 02:42:00:00:00:00":
      "The redirected frame gets a MAC without an owner; otherwise the bridge would look for its sender beyond the trunk.",
    "iifname @apart_ports oifname @apart_ports meta pkttype != host meta mark != 0x636e6574 counter drop":
      "`icc` off. Frames to the bridge itself come here only by a published port, with br_netfilter; and a user's rule may have marked them.",
  ]

  /// By the name without the family's number. The meaning of its elements.
  static let sets = [
    "bridges": "A bridge of ours.",
    "internal_bridges": "Its network is internal: nothing passes in or out.",
    "same_bridge": "Containers of this bridge may reach each other.",
    "trusted_links": "From this link, published container ports of this bridge are reached directly.",
    "internal_gateways": "The address at which this internal network reaches the host.",
    "records": "A record that has networks here; no rule looks at it.",
    "forwarding": "This record needs the host's links to forward this family; no rule looks at it.",
    "uplinks": "Forwarding of this family is on at this link for our networks alone.",
    "open_bridges": "From outside, its containers are reached at their own addresses, on every port.",
    "ping_bridges": "From outside and from other networks, its containers answer pings.",
    "nat_bridges": "Its outgoing packets get the address of their outgoing link.",
    "source_addresses": "Its outgoing packets get this address.",
    "endpoints": "A container has this address, on this bridge.",
    "besides": "The container with this address is also on this bridge, at another address.",
    "routed_ports": "This port of this container is reached without translation.",
    "direct_ports": "So is this one, from trusted links.",
    "published": "On all addresses of the host this port is the container's.",
    "published_at": "On this address of the host this port is the container's.",
    "ports": "The host's end of a container's cable.",
    "further_bridges": "A further bridge of a network.",
    "further_ports": "A port of such a bridge, the trunk's end too.",
    "trunks": "This port, given twice, leads from a network's first bridge to a further one.",
    "apart_ports": "It exchanges no frames with other ports in this set.",
    "port_macs": "Its frames have this hardware address.",
    "port_addresses": "Its packets and ARP have this address.",
  ]

  /// A set's name without the number of its family.
  static func stem(_ name: String) -> String {
    name.hasSuffix("4") || name.hasSuffix("6") ? String(name.dropLast()) : name
  }

  /// Explanations without an object.
  static func unused(by ruleset: Ruleset) -> [String] {
    var used = Set(ruleset.tables.map(\.name))
    for table in ruleset.tables {
      let family = table.name.prefix { $0 != " " }
      used.formUnion(table.chains.map { "\(family) \($0.name)" } + table.chains.flatMap(\.rules))
      used.formUnion(table.sets.map { stem($0.name) })
    }
    return (Array(tables.keys) + chains.keys + rules.keys + sets.keys).filter { !used.contains($0) }.sorted()
  }
}
