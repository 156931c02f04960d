import NetworkPrimitives
import Synchronization

/// The key of a cached answer.
struct CacheKey: Hashable, Sendable {
  var upstreams: Upstreams
  var question: Question
  /// DO: with DNSSEC's records.
  var acceptsDNSSEC: Bool
  /// CD: not checked.
  var isUnchecked: Bool

  init(_ query: Query, _ upstreams: Upstreams) {
    self.upstreams = upstreams
    question = query.question
    acceptsDNSSEC = query.edns?.acceptsDNSSEC == true
    isUnchecked = query.flags.contains(.checkingDisabled)
  }
}

/// Caches other servers' answers for their lifetime, within limits; answers without recent use are evicted first.
final class AnswerCache: Sendable {
  private struct Slot: Sendable {
    var key: CacheKey
    var answer: UpstreamAnswer
    /// Seconds of the clock.
    var stored: UInt64
    var wasUsed: Bool

    /// The approximate size, octets.
    var size: Int { answer.records.count + 16 * answer.times.count + 2 * key.question.name.encodedCount + 256 }
    func expired(at now: UInt64) -> Bool { now >= stored + UInt64(answer.lifetime) }
  }

  private struct Contents {
    var places: [CacheKey: Int] = [:]
    var slots: [Slot] = []
    var hand = 0
    var size = 0
  }

  private let contents = Mutex(Contents())
  private let limit: (entries: Int, octets: Int)
  private let now: @Sendable () -> UInt64

  /// An empty cache.
  ///
  /// - Parameters:
  ///   - entries: The maximum number of answers.
  ///   - octets: Their maximum total size, approximately.
  ///   - now: Seconds of a monotonic clock.
  init(entries: Int, octets: Int, now: @escaping @Sendable () -> UInt64) {
    limit = (entries, octets)
    self.now = now
  }

  /// The answer, and its age in seconds.
  func answer(_ key: CacheKey) -> (answer: UpstreamAnswer, age: UInt32)? {
    let now = now()
    return contents.withLock { contents in
      guard let place = contents.places[key] else { return nil }
      let stored = contents.slots[place].stored
      guard !contents.slots[place].expired(at: now) else {
        Self.remove(place, &contents)
        return nil
      }
      contents.slots[place].wasUsed = true
      return (contents.slots[place].answer, UInt32(clamping: now - stored))
    }
  }

  /// Keeps an answer, if it may be kept.
  func keep(_ answer: UpstreamAnswer, for key: CacheKey) {
    guard answer.lifetime > 0, limit.entries > 0 else { return }
    let slot = Slot(key: key, answer: answer, stored: now(), wasUsed: false)
    guard slot.size <= limit.octets / 8 else { return }
    contents.withLock { contents in
      if let place = contents.places[key] { Self.remove(place, &contents) }
      while contents.slots.count >= limit.entries || contents.size + slot.size > limit.octets {
        Self.evict(&contents, at: slot.stored)
      }
      contents.places[key] = contents.slots.count
      contents.slots.append(slot)
      contents.size += slot.size
    }
  }

  /// The number of answers, and their approximate size in octets.
  var extent: (entries: Int, octets: Int) { contents.withLock { ($0.slots.count, $0.size) } }

  /// Advances a clock hand to an answer that has expired or was not used since the hand passed it.
  private static func evict(_ contents: inout Contents, at now: UInt64) {
    while true {
      if contents.hand >= contents.slots.count { contents.hand = 0 }
      let slot = contents.slots[contents.hand]
      guard slot.wasUsed, !slot.expired(at: now) else { return remove(contents.hand, &contents) }
      contents.slots[contents.hand].wasUsed = false
      contents.hand += 1
    }
  }

  private static func remove(_ place: Int, _ contents: inout Contents) {
    let slot = contents.slots[place]
    contents.places[slot.key] = nil
    contents.size -= slot.size
    guard let last = contents.slots.popLast(), place < contents.slots.count else { return }
    contents.slots[place] = last
    contents.places[last.key] = place
  }
}
