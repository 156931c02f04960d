/// Sysctls below `net/`: the written value, else the kernel's default. Those of a link follow its name.
extension SimulatedNamespace {
  private static let defaults: [String: String] = [
    "net/ipv4/ip_forward": "0",
    "net/ipv4/ip_local_port_range": "32768\t60999",
    "net/ipv4/ip_local_reserved_ports": "",
    "net/ipv4/ip_unprivileged_port_start": "1024",
    "net/ipv4/ip_nonlocal_bind": "0",
    "net/ipv4/ping_group_range": "1\t0",
    "net/ipv6/ip_nonlocal_bind": "0",
    "net/netfilter/nf_conntrack_max": "262144",
    "net/netfilter/nf_conntrack_count": "0",
    "net/core/somaxconn": "4096",
  ]

  private static let linkDefaults: [String: [String: String]] = [
    "ipv4": [
      "forwarding": "0", "route_localnet": "0", "arp_notify": "0", "rp_filter": "0", "proxy_arp": "0",
      "proxy_arp_pvlan": "0", "arp_ignore": "0", "arp_announce": "0", "accept_local": "0", "send_redirects": "1",
      "accept_redirects": "1", "accept_source_route": "0", "log_martians": "0",
    ],
    "ipv6": [
      "disable_ipv6": "0", "forwarding": "0", "accept_ra": "1", "accept_dad": "1", "addr_gen_mode": "0",
      "force_forwarding": "0", "ndisc_notify": "0",
      "autoconf": "1", "proxy_ndp": "0", "keep_addr_on_down": "0", "accept_redirects": "1",
    ],
  ]

  func sysctl(_ name: String) -> String? {
    if let fixed = Self.defaults[name] { return sysctls[name] ?? fixed }
    guard let (family, link, key) = linkKey(name), let value = Self.linkDefaults[family]?[key] else { return nil }
    let inherited = link == "all" ? nil : sysctls["net/\(family)/conf/default/\(key)"]
    return sysctls[name] ?? inherited ?? value
  }

  /// Returns false for an unknown sysctl.
  mutating func setSysctl(_ name: String, to value: String) -> Bool {
    guard sysctl(name) != nil else { return false }
    sysctls[name] = value
    // Forwarding for all sets every link's value.
    let isForwarding = name == "net/ipv4/ip_forward" || name.hasSuffix("/conf/all/forwarding")
    guard isForwarding else { return true }
    let family = name.hasPrefix("net/ipv6") ? "ipv6" : "ipv4"
    if family == "ipv4" { sysctls["net/ipv4/ip_forward"] = value }
    for link in ["all", "default"] + links.values.map(\.name) {
      sysctls["net/\(family)/conf/\(link)/forwarding"] = value
    }
    return true
  }

  /// Moves the values of a link to its new name, or removes them.
  mutating func moveSysctls(of link: String, to name: String?) {
    for family in ["ipv4", "ipv6"] {
      let prefix = "net/\(family)/conf/\(link)/"
      for (key, value) in sysctls where key.hasPrefix(prefix) {
        sysctls[key] = nil
        if let name { sysctls["net/\(family)/conf/\(name)/\(key.dropFirst(prefix.count))"] = value }
      }
    }
  }

  private func linkKey(_ name: String) -> (family: String, link: String, key: String)? {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 5, parts[0] == "net", parts[2] == "conf" else { return nil }
    guard ["all", "default"].contains(parts[3]) || link(named: parts[3]) != nil else { return nil }
    return (parts[1], parts[3], parts[4])
  }
}
