import NetworkPrimitives

/// The contents of a resolv.conf(5).
struct ResolverConfiguration: Hashable {
  /// Name servers as written: a zone (`%eth0`) may follow an address.
  var servers: [String] = []
  var search: [String] = []
  var options: [String] = []

  init() {}

  /// Reads a file: the last of several `search` or `domain` lines counts, options add up.
  init(parsing text: String) {
    for line in text.split(whereSeparator: \.isNewline) where line.first != "#" && line.first != ";" {
      let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
      guard words.count > 1 else { continue }
      switch words[0] {
      case "nameserver": servers.append(words[1])
      case "search": search = Array(words.dropFirst())
      case "domain": search = [words[1]]
      case "options": options += words.dropFirst()
      default: break
      }
    }
  }

  /// The servers that a container can reach as the host does: not on the host's loopback, not link-local, and of one of
  /// the container's families.
  func servers(for families: Set<AddressFamily>) -> [IPAddress] {
    servers.compactMap { try? IPAddress($0) }.filter {
      !$0.isLoopback && !$0.isLinkLocal && !$0.isUnspecified && families.contains($0.family)
    }
  }

  /// Whether all servers are on the host's loopback, as a local stub is.
  var isStub: Bool { !servers.isEmpty && servers.allSatisfy { (try? IPAddress($0))?.isLoopback ?? false } }

  /// The file.
  var text: String {
    var lines = [ContainerFileTexts.notice] + servers.map { "nameserver \($0)" }
    if !search.isEmpty { lines.append("search \(search.joined(separator: " "))") }
    if !options.isEmpty { lines.append("options \(options.joined(separator: " "))") }
    return lines.joined(separator: "\n") + "\n"
  }
}
