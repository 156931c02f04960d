import Foundation

/// SplitMix64: the same numbers for the same seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A generator that always draws the same numbers.
  public init(state: UInt64) { self.state = state }

  /// One with another seed on every run, which is printed, so that what fails can be repeated with it.
  ///
  /// `TEST_SEED` gives the seed.
  public init(for test: String = #function, in file: String = #fileID) {
    let given = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) }
    let seed = given ?? .random(in: 0 ... .max)
    print("TEST_SEED=\(seed) repeats \(test) in \(file)")
    self.init(state: seed)
  }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
