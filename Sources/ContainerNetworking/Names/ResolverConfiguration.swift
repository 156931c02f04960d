import NetworkPrimitives

/// What resolv.conf(5) says.
struct ResolverConfiguration: Hashable {
  /// Name servers, as they are written: a zone (`%eth0`) may follow an address.
  var servers: [String] = []
  var search: [String] = []
  var options: [String] = []

  init() {}

  /// Reads a file: of several `search` or `domain` lines the last counts, options add up.
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

  /// The servers that a container can ask as the host does: neither the host's loopback nor what is known by a link of
  /// the host's, and of a family that the container has.
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
