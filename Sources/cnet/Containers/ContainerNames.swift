import ContainerNetworking

extension Sandbox {
  /// The container's own id: its namespace's, with which its host name and its network's `inspect` begin. For a
  /// container in another's or the host's namespace, an id derived from its name.
  var containerID: String {
    switch mode {
    case .host, .container: Self.id(madeOf: "\(id)/\(container)")
    case .bridge, .none, .network: id
    }
  }

  /// 64 hexadecimal digits, the same for the same text: FNV-1a, four times with different offsets.
  private static func id(madeOf text: String) -> String {
    (UInt64(0)..<4).map { turn in
      let hash = "\(turn)/\(text)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
      let digits = String(hash, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}

/// The name of a container, from its name, its id, or a prefix of the id.
///
/// - Throws: `.ambiguous`, listing the matches.
func containerName(_ text: String, _ controller: NetworkController) async throws(NetworkError) -> String {
  guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
    return text
  }
  let all = try await controller.sandboxes()
  if all.contains(where: { $0.container == text }) { return text }
  let matches = all.filter { $0.containerID.hasPrefix(text) }.map(\.container)
  guard matches.count < 2 else {
    throw NetworkError(
      .ambiguous, operation: "find container \"\(text)\"",
      reason: "the ids of \(matches.joined(separator: ", ")) begin with that; write more of the id, or the name")
  }
  return matches.first ?? text
}
