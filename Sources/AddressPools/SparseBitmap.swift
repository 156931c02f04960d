/// A set of numbers that finds the first number *not* in it in a few steps, however full it is. Memory grows with its
/// members alone, however far apart they are.
///
/// It is a tree of 64-bit words. A word of level 0 has a bit for each of 64 numbers; a word of the level above has a
/// bit for each of 64 words, set when that word is full. Words without a set bit are not stored, so n members take at
/// most n words on level 0, n/64 on level 1 and so on. A search climbs past full words and descends into the first that
/// is not.
struct SparseBitmap: Hashable, Sendable {
  private var levels: [[UInt128: UInt64]] = []

  /// The number of stored words.
  var wordCount: Int { levels.reduce(0) { $0 + $1.count } }

  func contains(_ number: UInt128) -> Bool { word(0, number >> 6) & bit(number) != 0 }

  mutating func insert(_ number: UInt128) {
    var position = number
    var level = 0
    repeat {
      if level == levels.count { levels.append([:]) }
      let word = word(level, position >> 6) | bit(position)
      levels[level][position >> 6] = word
      guard word == .max else { return }
      position >>= 6
      level += 1
    } while level <= 128 / 6
  }

  mutating func remove(_ number: UInt128) {
    var position = number
    for level in levels.indices {
      let old = word(level, position >> 6)
      let new = old & ~bit(position)
      levels[level][position >> 6] = new == 0 ? nil : new
      // Only a word that was full is known to the level above.
      guard old == .max else { break }
      position >>= 6
    }
    while levels.last?.isEmpty == true { levels.removeLast() }
  }

  /// The lowest number from `start` to `end`, both included, that is not a member.
  func firstMissing(from start: UInt128, through end: UInt128) -> UInt128? {
    guard start <= end else { return nil }
    var position = start
    var level = 0
    // Up, until a word has a clear bit at the position or after it.
    while true {
      let clear = ~word(level, position >> 6) & (.max << (position & 63))
      if clear != 0 {
        position = position & ~63 | UInt128(clear.trailingZeroBitCount)
        break
      }
      position = position >> 6 + 1
      level += 1
      guard position <= end >> (6 * level) else { return nil }
    }
    // Down, into the first child that is not full.
    while level > 0 {
      level -= 1
      position <<= 6
      position |= UInt128((~word(level, position >> 6)).trailingZeroBitCount)
    }
    return position <= end ? position : nil
  }

  private func word(_ level: Int, _ index: UInt128) -> UInt64 { level < levels.count ? levels[level][index] ?? 0 : 0 }

  private func bit(_ position: UInt128) -> UInt64 { 1 << UInt64(position & 63) }
}
