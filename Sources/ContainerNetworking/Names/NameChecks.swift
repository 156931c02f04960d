import NetworkPrimitives

/// Checks of names and resolver options that need no further data.
extension NameOptions {
  /// Every fault, each with the value, the rule and a right value.
  func faults(_ operation: String) -> [NetworkError] {
    var faults: [NetworkError] = []
    let refuse = { (reason: String) in faults.append(.invalid(operation, reason)) }
    let rule = "is not labels of letters, digits and inner hyphens, 1 to 63 each, joined by dots (RFC 1123)"
    if let hostname {
      if !DomainName.isHostName(hostname) {
        refuse("the host name \(quoted(hostname)) \(rule); write one as in web-1")
      } else if hostname.utf8.count > Self.nodeNameLimit {
        refuse("the host name \(quoted(hostname)) has over \(Self.nodeNameLimit) characters, the kernel's limit")
      }
    }
    if let domainname {
      if !DomainName.isHostName(domainname) {
        refuse("the domain name \(quoted(domainname)) \(rule); write one as in example.org")
      } else if domainname.utf8.count > Self.nodeNameLimit {
        refuse("the domain name \(quoted(domainname)) has over \(Self.nodeNameLimit) characters, the kernel's limit")
      }
    }
    for reason in dns.compactMap({ Self.fault(ofServer: $0) }) { refuse(reason) }
    if dnsSearch.contains("."), dnsSearch.count > 1 {
      refuse("the search domain \".\" stands for no search at all; leave it or the others out")
    }
    for domain in dnsSearch where domain != "." && !DomainName.isDomainName(domain) {
      refuse(
        "the search domain \(quoted(domain)) is not labels of letters, digits, '-' and '_', 1 to 63 each, joined by "
          + "dots; write one as in example.org")
    }
    for option in dnsOptions where !Self.isOption(option) {
      refuse(
        "the resolver option \(quoted(option)) is not a word of resolv.conf(5), with a number after a colon where it has "
          + "one; write one as in ndots:2 or rotate")
    }
    for host in extraHosts {
      if !DomainName.isDomainName(host.name) {
        refuse(
          "the host \(quoted(host.name)) is not labels of letters, digits, '-' and '_', 1 to 63 each, joined by dots; "
            + "write one as in db.example.org")
      }
      if let address = host.address, address.isUnspecified || address.isMulticast {
        refuse(
          "the address \(address) of host \(quoted(host.name)) is not one of a single machine; name one, as in "
            + "192.168.50.9"
        )
      }
    }
    return faults
  }

  /// The given options, each as the beginning of a sentence.
  var described: [String] {
    var parts: [String] = []
    if let hostname { parts.append("the host name \(quoted(hostname))") }
    if let domainname { parts.append("the domain name \(quoted(domainname))") }
    parts += dns.map { "the name server \($0)" } + dnsSearch.map { "the search domain \(quoted($0))" }
    parts += dnsOptions.map { "the resolver option \(quoted($0))" } + extraHosts.map { "the host \"\($0)\"" }
    return parts
  }

  /// Warnings about values that resolvers refuse, resolv.conf(5).
  ///
  /// - Parameter asksNetwork: Whether the resolver asks a network's own server, which asks all of ``dns``.
  func warnings(asksNetwork: Bool) -> [AttachWarning] {
    var warnings: [AttachWarning] = []
    if dns.count > ResolverLimits.servers, !asksNetwork {
      warnings.append(.nameServersIgnored(Array(dns.dropFirst(ResolverLimits.servers))))
    }
    let length = dnsSearch.joined(separator: " ").utf8.count
    if dnsSearch.count > ResolverLimits.domains || length > ResolverLimits.searchLength {
      warnings.append(.searchTooLong(domains: dnsSearch.count, characters: length))
    }
    for option in dnsOptions {
      let parts = option.split(separator: ":")
      guard parts.count == 2, let limit = ResolverLimits.options[String(parts[0])], let value = UInt64(parts[1]),
        value > limit
      else { continue }
      warnings.append(.resolverOptionCapped(option, limit))
    }
    return warnings
  }

  /// `HOST_NAME_MAX`, bits/local_lim.h; the size of a name in `struct utsname`.
  private static let nodeNameLimit = 64

  private static func isOption(_ text: String) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let isWord =
      !parts[0].isEmpty && parts[0].utf8.allSatisfy { DomainName.isLetterOrDigit($0) || $0 == 0x2d || $0 == 0x5f }
    return isWord && (parts.count == 1 || decimal(parts[1].utf8, atMost: 999_999) != nil)
  }
}

/// The limits of resolvers for resolv.conf(5).
enum ResolverLimits {
  /// `MAXNS`, resolv.h.
  static let servers = 3
  /// Of glibc before 2.26.
  static let domains = 6
  /// The limit of musl, and of glibc before 2.26; bytes.
  static let searchLength = 256
  /// `RES_MAXNDOTS`, `RES_MAXRETRANS`, `RES_MAXRETRY`; higher values are capped.
  static let options: [String: UInt64] = ["ndots": 15, "timeout": 30, "attempts": 5]
}

/// The syntax of host and domain names.
enum DomainName {
  static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
  }

  /// RFC 1123 2.1: as RFC 952, with a digit allowed first.
  static func isHostName(_ text: String) -> Bool {
    isName(text) { label in
      let bytes = Array(label.utf8)
      return bytes.allSatisfy { isLetterOrDigit($0) || $0 == 0x2d } && bytes.first != 0x2d && bytes.last != 0x2d
    }
  }

  /// A domain name in common use: with underscores, and optionally the root's dot at the end.
  static func isDomainName(_ text: String) -> Bool {
    isName(text.last == "." ? String(text.dropLast()) : text) { label in
      label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2d || $0 == 0x5f }
    }
  }

  private static func isName(_ text: String, _ isLabel: (Substring) -> Bool) -> Bool {
    text.utf8.count <= 253
      && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
        (1...63).contains($0.utf8.count) && isLabel($0)
      }
  }
}
