public import NetworkPrimitives

/// A filter of networks: all criteria must match, by at least one value of each.
public struct NetworkFilter: Hashable, Sendable {
  /// Drivers.
  public var drivers: Set<NetworkDriver> = []
  /// Beginnings of ids.
  public var ids: [String] = []
  /// Parts of names.
  public var names: [String] = []
  /// Required labels: all of them; a nil value matches any.
  public var labels: [Label] = []
  /// Excluded labels: none of them.
  public var absentLabels: [Label] = []
  /// Scopes: `local`.
  public var scopes: Set<String> = []
  /// Whether it was made by a user.
  public var isCustom: Bool?
  /// Whether nothing is on it.
  public var isDangling: Bool?
  /// Made before this.
  public var until: Timestamp?

  /// Makes a filter that matches every network.
  public init() {}

  /// Adds a filter in the form of the command line: `driver=bridge`, `id=4f3a`, `name=web`, `label=tier`,
  /// `label=tier=db`, `label!=tier`, `scope=local`, `type=custom` or `builtin`, `dangling=true`, `until=`. The value of
  /// `until` is a number of seconds since 1970 or an age: `10m`, `1h30m`, `24h`.
  ///
  /// - Throws: `.invalidValue` for any other text.
  public mutating func add(_ text: String, now: Timestamp = .now()) throws(NetworkError) {
    guard let equals = text.firstIndex(of: "=") else { throw Self.malformed(text) }
    var key = text[..<equals]
    let value = String(text[text.index(after: equals)...])
    let isNegated = key.last == "!"
    if isNegated { key = key.dropLast() }
    guard !value.isEmpty, !isNegated || key == "label" else { throw Self.malformed(text) }
    switch key {
    case "driver": drivers.insert(NetworkDriver(value))
    case "id": ids.append(value)
    case "name": names.append(value)
    case "label":
      let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let label = Label(parts[0], parts.count > 1 ? parts[1] : nil)
      if isNegated { absentLabels.append(label) } else { labels.append(label) }
    case "scope": scopes.insert(value)
    case "type":
      guard ["custom", "builtin"].contains(value) else { throw Self.malformed(text) }
      isCustom = value == "custom"
    case "dangling":
      guard let flag = ["true": true, "1": true, "false": false, "0": false][value] else { throw Self.malformed(text) }
      isDangling = flag
    case "until": until = try Self.time(value, now, text)
    default: throw Self.malformed(text)
    }
  }

  /// Whether the network matches.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - isUsed: Whether it has an endpoint.
  public func matches(_ network: NetworkRecord, isUsed: Bool) -> Bool {
    let has = { (label: Label) in
      network.labels[label.key].map { label.value == nil || label.value == $0 } ?? false
    }
    return (drivers.isEmpty || drivers.contains(network.driver))
      && (ids.isEmpty || ids.contains { network.id.hasPrefix($0) })
      && (names.isEmpty || names.contains { network.name.contains($0) })
      && (scopes.isEmpty || scopes.contains("local"))
      && labels.allSatisfy(has) && !absentLabels.contains(where: has)
      && (isCustom ?? !network.isPredefined) == !network.isPredefined
      && (isDangling ?? !isUsed) == !isUsed && (until.map { network.created < $0 } ?? true)
  }

  private static func time(_ value: String, _ now: Timestamp, _ text: String) throws(NetworkError) -> Timestamp {
    if let seconds = Int64(value), seconds >= 0, seconds < Int64.max / 1_000_000_000 {
      return Timestamp(nanoseconds: seconds * 1_000_000_000)
    }
    var seconds: Int64 = 0
    var digits = ""
    for character in value {
      if character.isASCII, character.isNumber {
        digits.append(character)
        continue
      }
      guard let unit = ["s": 1, "m": 60, "h": 3600, "d": 86_400][character] as Int64?, let count = Int64(digits),
        count < 1_000_000_000, seconds < Int64.max / 2
      else { throw malformed(text) }
      seconds += count * unit
      digits = ""
    }
    let (nanoseconds, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (time, isTooEarly) = now.nanoseconds.subtractingReportingOverflow(nanoseconds)
    guard digits.isEmpty, !isTooLong, !isTooEarly else { throw malformed(text) }
    return Timestamp(nanoseconds: time)
  }

  private static func malformed(_ text: String) -> NetworkError {
    NetworkError(
      .invalidValue, operation: "read filter \"\(text)\"",
      reason: "right are driver=bridge, id=PREFIX, name=PART, label=KEY, label=KEY=VALUE, label!=KEY, scope=local, "
        + "type=custom, type=builtin, dangling=true and until=24h")
  }

  /// A label, with one value or with any.
  public struct Label: Hashable, Sendable {
    /// The label's name.
    public var key: String
    /// Its value; nil for any.
    public var value: String?

    /// A label.
    public init(_ key: String, _ value: String? = nil) {
      self.key = key
      self.value = value
    }
  }
}

/// The order of names in lists: digits count as numbers, so that `net2` comes before `net10`.
public enum NaturalOrder {
  /// Whether one name comes before another.
  public static func precedes(_ left: String, _ right: String) -> Bool {
    let (left, right) = (parts(left), parts(right))
    for (one, other) in zip(left, right) where one != other {
      if let first = UInt64(one), let second = UInt64(other), first != second { return first < second }
      return one < other
    }
    return left.count < right.count
  }

  /// Runs of digits, and the texts between them.
  private static func parts(_ text: String) -> [String] {
    var parts: [String] = []
    var isNumber = false
    for character in text {
      let isDigit = character.isASCII && character.isNumber
      if parts.isEmpty || isDigit != isNumber { parts.append("") }
      isNumber = isDigit
      parts[parts.count - 1].append(character)
    }
    return parts
  }
}
