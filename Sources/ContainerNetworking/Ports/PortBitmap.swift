/// A set of ports that finds the first one *not* in it in a few steps, however full it is. A word has a bit for each of
/// 64 ports; a word above has a bit for each of 64 words, set when that word is full.
struct PortBitmap: Sendable {
  private var words = [UInt64](repeating: 0, count: 1_024)
  private var full = [UInt64](repeating: 0, count: 16)
  private(set) var count = 0

  func contains(_ port: UInt16) -> Bool { words[Int(port) >> 6] & Self.bit(Int(port)) != 0 }

  mutating func insert(_ port: UInt16) {
    let index = Int(port) >> 6
    guard words[index] & Self.bit(Int(port)) == 0 else { return }
    words[index] |= Self.bit(Int(port))
    count += 1
    if words[index] == .max { full[index >> 6] |= Self.bit(index) }
  }

  mutating func remove(_ port: UInt16) {
    let index = Int(port) >> 6
    guard words[index] & Self.bit(Int(port)) != 0 else { return }
    words[index] &= ~Self.bit(Int(port))
    count -= 1
    full[index >> 6] &= ~Self.bit(index)
  }

  /// The lowest port from `start` to `end`, both included, that is not in it.
  func firstMissing(from start: UInt16, through end: UInt16) -> UInt16? {
    guard start <= end else { return nil }
    let index = Int(start) >> 6
    let clear = ~words[index] & (.max << UInt64(start & 63))
    if clear != 0 { return Self.port(index, clear, end) }
    var above = (index + 1) >> 6
    guard above < full.count else { return nil }
    var open = ~full[above] & (.max << UInt64((index + 1) & 63))
    while open == 0 {
      above += 1
      guard above < full.count else { return nil }
      open = ~full[above]
    }
    let next = above << 6 | open.trailingZeroBitCount
    return Self.port(next, ~words[next], end)
  }

  private static func port(_ word: Int, _ clear: UInt64, _ end: UInt16) -> UInt16? {
    let port = word << 6 | clear.trailingZeroBitCount
    return port <= Int(end) ? UInt16(port) : nil
  }

  private static func bit(_ position: Int) -> UInt64 { 1 << UInt64(position & 63) }
}
