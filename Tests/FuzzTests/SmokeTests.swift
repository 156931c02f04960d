import ContainerNetworking
import ContainerNetworkingTestKit
import FuzzEntries
import Glibc
import TestSupport
import Testing

/// A few seconds of `make fuzz`, the same each time: random bytes, and damaged real ones.
@Suite(.timeLimit(.minutes(5))) struct SmokeTests {
  /// SplitMix64, so that a failure comes again.
  private static func random(_ generator: inout SeededGenerator) -> [UInt8] {
    (0..<Int.random(in: 0...200, using: &generator)).map { _ in .random(in: 0 ... .max, using: &generator) }
  }

  /// Changes, cuts, doubles or splices bytes; half of the time with values that sit at edges.
  private static func damaged(_ seed: [UInt8], with other: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = seed
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      guard !bytes.isEmpty else { return bytes }
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: bytes[place] = .random(in: 0 ... .max, using: &generator)
      case 1: bytes[place] = [0, 1, 3, 4, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + 4))
      case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 8)], at: place)
      case 4: bytes = Array(bytes[..<place] + other.suffix(max(0, other.count - place)))
      default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      }
    }
    return bytes
  }

  private func check(_ entry: FuzzEntry, _ seeds: [[UInt8]], rounds: Int) {
    for seed in seeds {
      let violation = entry.violation(seed)
      #expect(violation == nil, "real bytes \(seed)")
    }
    var generator = SeededGenerator(state: 1)
    for _ in 0..<rounds {
      let first = seeds.randomElement(using: &generator) ?? []
      let second = seeds.randomElement(using: &generator) ?? []
      for bytes in [Self.random(&generator), Self.damaged(first, with: second, &generator)] {
        guard let violation = entry.violation(bytes) else { continue }
        Issue.record("\(violation), for \(bytes)")
        return
      }
    }
  }

  private static func rounds(of entry: FuzzEntry) -> Int {
    entry == .routeDatagram || entry == .netfilterDatagram ? 60 : 1000
  }

  @Test(arguments: FuzzEntry.allCases)
  func simulatedBytes(_ entry: FuzzEntry) throws {
    let seeds = try #require(try FuzzEntry.seeds(from: SimulatedKernel())[entry])
    check(entry, seeds, rounds: Self.rounds(of: entry))
  }

  @Test(.enabled(if: geteuid() == 0), arguments: FuzzEntry.allCases)
  func bytesOfLinux(_ entry: FuzzEntry) throws {
    let seeds = try #require(try FuzzEntry.seeds(from: LinuxKernel())[entry])
    check(entry, seeds, rounds: Self.rounds(of: entry))
  }
}
