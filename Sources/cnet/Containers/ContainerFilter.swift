import ContainerNetworking

/// Which containers `ps` lists.
struct ContainerFilter {
  private var values: [String: [String]] = [:]

  private static let kinds: Set<String> = [
    "id", "name", "label", "network", "status", "publish", "expose", "before", "since",
  ]
  private static let refused: [String: String] = [
    "ancestor": Reason.images, "volume": Reason.volumes, "health": Reason.health, "isolation": Reason.runtimes,
    "is-task": Reason.swarm,
    "exited": "a container is gone when its command ends, and its exit code is that of cnet run",
  ]

  /// - Throws: `.invalidValue` for an invalid filter; `.unsupported` for a filter of Docker's without support.
  init(_ texts: [String]) throws(NetworkError) {
    for text in texts {
      let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if let reason = Self.refused[halves[0]] {
        throw NetworkError(.unsupported, operation: "read filter \"\(text)\"", reason: reason)
      }
      guard halves.count == 2, Self.kinds.contains(halves[0]) else {
        throw NetworkError(
          .invalidValue, operation: "read filter \"\(text)\"",
          reason:
            "right are id=PREFIX, name=PART, label=KEY, label=KEY=VALUE, network=NAME, status=running, publish=80/tcp, "
            + "expose=80, before=NAME and since=NAME")
      }
      values[halves[0], default: []].append(halves[1])
    }
    for status in values["status"] ?? [] where !["running", "dead", "exited"].contains(status) {
      throw NetworkError(
        .invalidValue, operation: "read filter \"status=\(status)\"",
        reason: "no container is ever \(status); there are: running, dead, exited")
    }
  }

  /// Whether it matches every container.
  var isEmpty: Bool { values.isEmpty }

  /// Whether the filter requests stopped containers, which are not listed otherwise.
  var wantsStopped: Bool { values["status"]?.contains("exited") ?? false }

  /// - Throws: `.notFound` for the reference container of `before` or `since`.
  func matching(_ rows: [ContainerRow]) throws(NetworkError) -> [ContainerRow] {
    var result = rows
    for (kind, wanted) in values.sorted(by: { $0.key < $1.key }) {
      switch kind {
      case "before", "since":
        for name in wanted {
          guard let other = rows.first(where: { $0.name == name || $0.id.hasPrefix(name) }) else {
            throw NetworkError(
              .notFound, operation: "read filter \"\(kind)=\(name)\"", reason: "there is no container \"\(name)\"")
          }
          result = result.filter { kind == "before" ? $0.created < other.created : $0.created > other.created }
        }
      case "publish", "expose":
        var mappings: [PortMapping] = []
        for text in wanted { mappings.append(try PortMapping(text)) }
        result = result.filter { row in mappings.contains { Self.has(row, $0, isPublished: kind == "publish") } }
      case "label": result = result.filter { row in wanted.allSatisfy { Self.has(row, label: $0) } }
      default: result = result.filter { row in wanted.contains { Self.isMeant(row, kind, $0) } }
      }
    }
    return result
  }

  private static func isMeant(_ row: ContainerRow, _ kind: String, _ value: String) -> Bool {
    switch kind {
    case "id": row.id.hasPrefix(value)
    case "name": row.name.contains(value)
    case "network": row.networks.contains(value) || row.mode == value
    default: row.state == value
    }
  }

  private static func has(_ row: ContainerRow, label: String) -> Bool {
    let halves = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let value = row.labels[halves[0]] else { return false }
    return halves.count == 1 || value == halves[1]
  }

  private static func has(_ row: ContainerRow, _ wanted: PortMapping, isPublished: Bool) -> Bool {
    let published = row.ports.contains {
      $0.transport == wanted.transport && wanted.containerPorts.contains($0.containerPort)
    }
    guard !isPublished else { return published }
    return published
      || row.exposed.contains {
        $0.transport == wanted.transport && $0.containerPorts.overlaps(wanted.containerPorts)
      }
  }
}
