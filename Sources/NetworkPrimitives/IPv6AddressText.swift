extension IPv6Address: CustomStringConvertible {
  /// The form of RFC 5952: lower case, no leading zeros, `::` for the first of the longest runs of zero groups.
  /// Addresses in `::ffff:0:0/96` and the old `::/96` end in a dotted quad, as `inet_ntop(3)` and so every tool on
  /// Linux prints them.
  public var description: String {
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: rawValue >> (112 - 16 * $0)) }
    let gap = Self.longestZeroRun(groups)
    let embedsIPv4 = gap == 0..<6 || (gap == 0..<5 && groups[5] == 0xffff)
    var text: [UInt8] = []
    text.reserveCapacity(39)
    var index = 0
    while index < 8 {
      if index == gap.lowerBound, !gap.isEmpty {
        text += [UInt8(ascii: ":"), UInt8(ascii: ":")]
        index = gap.upperBound
        continue
      }
      if index > 0, index != gap.upperBound || gap.isEmpty { text.append(UInt8(ascii: ":")) }
      if index == 6, embedsIPv4 {
        text += IPv4Address(rawValue: UInt32(truncatingIfNeeded: rawValue)).description.utf8
        break
      }
      Self.append(groups[index], to: &text)
      index += 1
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func append(_ group: UInt16, to text: inout [UInt8]) {
    var started = false
    for shift in [12, 8, 4, 0] {
      let digit = UInt8(group >> shift & 0xf)
      started = started || digit > 0 || shift == 0
      if started { text.append(hexDigit(digit)) }
    }
  }

  /// The first of the longest runs of two or more zero groups; empty if there is none.
  private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
    var best = 0..<0
    var start = 0
    for index in 0..<8 {
      if groups[index] != 0 {
        start = index + 1
      } else if index + 1 - start >= 2, index + 1 - start > best.count {
        best = start..<(index + 1)
      }
    }
    return best
  }
}

extension IPv6Address {
  /// The number that the text form stands for, or nil if it is not one.
  static func number(_ text: String) -> UInt128? {
    let utf8 = text.utf8
    var groups = Groups()
    var start = utf8.startIndex
    var index = start
    while index < utf8.endIndex {
      let byte = utf8[index]
      let next = utf8.index(after: index)
      if let digit = hexValue(byte) {
        guard groups.append(digit: digit) else { return nil }
      } else if byte == UInt8(ascii: ":") {
        if next < utf8.endIndex, utf8[next] == UInt8(ascii: ":") {
          guard groups.openGap(atStart: index == utf8.startIndex) else { return nil }
          start = utf8.index(after: next)
        } else {
          guard next < utf8.endIndex, groups.close() else { return nil }
          start = next
        }
        index = start
        continue
      } else if byte == UInt8(ascii: ".") {
        guard let quad = IPv4Address.number(utf8[start...]) else { return nil }
        return groups.close(withQuad: quad) ? groups.number : nil
      } else {
        return nil
      }
      index = next
    }
    guard groups.digits == 0 || groups.close() else { return nil }
    return groups.number
  }

  /// The groups read so far.
  private struct Groups {
    var value: UInt128 = 0
    var count = 0
    /// The number of groups before the `::`.
    var gap: Int?
    var group: UInt128 = 0
    var digits = 0

    mutating func append(digit: UInt8) -> Bool {
      group = group << 4 | UInt128(digit)
      digits += 1
      return digits <= 4
    }

    mutating func close() -> Bool {
      guard digits > 0, count < 8 else { return false }
      value = value << 16 | group
      count += 1
      (group, digits) = (0, 0)
      return true
    }

    mutating func openGap(atStart: Bool) -> Bool {
      guard gap == nil, digits == 0 ? atStart : close() else { return false }
      gap = count
      return true
    }

    mutating func close(withQuad quad: UInt32) -> Bool {
      guard count <= 6 else { return false }
      value = value << 32 | UInt128(quad)
      count += 2
      return true
    }

    /// The address; nil if there are too few groups, or eight and a `::` that stands for none.
    var number: UInt128? {
      guard let gap else { return count == 8 ? value : nil }
      guard count < 8 else { return nil }
      let tail = 16 * (count - gap)
      let low = value & ((1 << UInt128(tail)) - 1)
      return (value >> tail) << (128 - 16 * gap) | low
    }
  }

  /// The error sentence for text that is not an IPv6 address, with an example of one.
  static func fault(in text: String) -> String {
    let form =
      "an IPv6 address has eight groups of one to four hexadecimal digits, or fewer with one \"::\", as in fd00::1"
    guard !text.isEmpty else { return "\"\" is empty; \(form)" }
    if let percent = text.firstIndex(of: "%") {
      return "\(quoted(text)) has the zone \(quoted(text[percent...])); here an address has none, write "
        + "\(quoted(text[..<percent])) and name the interface apart"
    }
    if let slash = text.firstIndex(of: "/") {
      return "\(quoted(text)) has a prefix length; here an address stands alone, as in \(quoted(text[..<slash]))"
    }
    if text.first == "[", text.last == "]" {
      return "\(quoted(text)) is in brackets; write \(quoted(text.dropFirst().dropLast()))"
    }
    if let odd = text.first(where: { !($0.isASCII && $0.isHexDigit) && $0 != ":" && $0 != "." }) {
      return "\(quoted(text)) has \(quoted(String(odd))) in it; \(form)"
    }
    let groups = text.split(separator: ":", omittingEmptySubsequences: false)
    if let early = groups.dropLast().first(where: { $0.contains(".") }) {
      return "\(quoted(text)) has \(quoted(early)) before its end; a dotted quad stands last, as in ::ffff:10.0.0.1"
    }
    let quad = groups.last { $0.contains(".") }
    if let quad, IPv4Address.number(quad.utf8) == nil {
      return "\(quoted(text)): \(IPv4Address.fault(in: quad))"
    }
    if let long = groups.first(where: { $0.utf8.count > 4 && $0 != quad }) {
      return "\(quoted(text)) has the group \(quoted(long)); \(form)"
    }
    let (opens, closes) = (text.hasPrefix("::"), text.hasSuffix("::"))
    if groups.first == "", !opens { return "\(quoted(text)) begins with a single \":\"; \(form)" }
    if groups.last == "", !closes { return "\(quoted(text)) ends with a single \":\"; \(form)" }
    let empty = groups.count(where: \.isEmpty)
    // A "::" at an end leaves two empty parts.
    let gaps = empty - (opens ? 1 : 0) - (closes ? 1 : 0)
    if gaps > 1 { return "\(quoted(text)) has \"::\" more than once; \(form)" }
    let count = groups.count - empty + (quad == nil ? 0 : 1)
    return "\(quoted(text)) has \(count) group\(count == 1 ? "" : "s")\(gaps > 0 ? " and a \"::\"" : ""); \(form)"
  }
}
