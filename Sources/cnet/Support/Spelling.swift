import ContainerNetworking

/// Converts a command line in Docker's form to the parser's.
enum Spelling {
  private static let globals: Set<String> = ["--state-dir", "--host-namespace", "--name-server", "--color"]

  /// - Parameter arguments: The arguments without the program's name.
  /// - Throws: `.unsupported` for a verb or option of Docker's without support, with the reason.
  static func ours(_ arguments: [String]) throws(NetworkError) -> [String] {
    var rest = arguments[...]
    // Moves global options from before the verb to behind it, where the verb reads them.
    var leading: [String] = []
    while let first = rest.first, let name = first.split(separator: "=").first, globals.contains(String(name)) {
      let count = first.contains("=") ? 1 : 2
      leading += rest.prefix(count)
      rest = rest.dropFirst(count)
    }
    let verb = try verb(&rest)
    guard !verb.isEmpty else { return Array(rest) }
    let key = verb.first == "network" ? verb.prefix(2).joined(separator: " ") : verb[0]
    guard let table = DockerOptions.table(of: key) else { return verb + leading + rest }
    return try verb + leading + table.spelled(rest, verb: key)
  }

  /// Removes the verb from the command line and returns it in the parser's words; empty without one.
  private static func verb(_ rest: inout ArraySlice<String>) throws(NetworkError) -> [String] {
    guard let first = rest.first, !first.hasPrefix("-"), first != "help" else { return [] }
    let second = rest.dropFirst().first.flatMap { $0.hasPrefix("-") ? nil : $0 }
    switch (first, second) {
    case ("network", let second?):
      rest = rest.dropFirst(2)
      return ["network", networkVerbs[second] ?? second]
    case ("container", let second?):
      rest = rest.dropFirst(2)
      try check(second, of: "container")
      if second == "inspect" { return ["inspect", "--type=container"] }
      return [containerVerbs[second] ?? second]
    case (_, _):
      rest = rest.dropFirst()
      if first != "container" { try check(first, of: nil) }
      return [first]
    }
  }

  private static let networkVerbs = ["list": "ls", "remove": "rm"]
  private static let containerVerbs = ["ls": "ps", "list": "ps", "remove": "rm"]

  private static func check(_ verb: String, of group: String?) throws(NetworkError) {
    guard let reason = absent.first(where: { $0.verbs.contains(verb) })?.reason else { return }
    throw NetworkError(
      .unsupported, operation: "read verb \"\([group, verb].compactMap(\.self).joined(separator: " "))\"",
      reason: reason)
  }

  /// Docker's verbs without support.
  private static let absent: [(verbs: Set<String>, reason: String)] = [
    (
      [
        "build", "commit", "export", "history", "image", "images", "import", "load", "pull", "push", "rmi", "save",
        "tag",
      ],
      Reason.images
    ),
    (["cp", "diff", "volume"], Reason.volumes),
    (
      ["create", "restart", "start"],
      "a container is made and started at once, by cnet run, and is gone when its command ends"
    ),
    (["kill"], "write cnet stop --signal=KILL"),
    (["logs"], "the output of a detached command is in the file that cnet inspect -f '{{.LogPath}}' names"),
    (
      ["pause", "unpause"], "send the signals STOP and CONT to the process that cnet inspect -f '{{.State.Pid}}' names"
    ),
    (["rename", "update"], "a container stays as it was made; run another"),
    (["stats", "top", "wait"], "the command is a process of this host: look at it by ps(1)"),
    (["compose", "node", "secret", "service", "stack", "swarm"], Reason.swarm),
  ]
}
