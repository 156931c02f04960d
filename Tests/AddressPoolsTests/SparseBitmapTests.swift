import TestSupport
import Testing

@testable import AddressPools

@Suite struct SparseBitmapTests {
  @Test(arguments: [0, 1 << 32, 1 << 64, .max - 4095] as [UInt128])
  func agreesWithASet(base: UInt128) {
    var generator = SeededGenerator(state: 64)
    var bitmap = SparseBitmap()
    var members: Set<UInt128> = []
    // Three numbers in four are members after a while, in runs that fill whole words.
    for step in 0..<3_000 {
      let start = UInt128.random(in: 0..<4096, using: &generator)
      for offset in start..<min(start + .random(in: 1...200, using: &generator), 4096) {
        if step % 4 == 3 {
          bitmap.remove(base + offset)
          members.remove(base + offset)
        } else {
          bitmap.insert(base + offset)
          members.insert(base + offset)
        }
      }
      let from = base + UInt128.random(in: 0..<4096, using: &generator)
      var expected: UInt128? = from
      while let number = expected, members.contains(number) { expected = number == .max ? nil : number + 1 }
      #expect(bitmap.firstMissing(from: from, through: .max) == expected)
      let end = from + UInt128.random(in: 0...(base + 4095 - from), using: &generator)
      #expect(bitmap.firstMissing(from: from, through: end) == expected.flatMap { $0 <= end ? $0 : nil })
      #expect(bitmap.contains(from) == members.contains(from))
    }
    #expect(bitmap.wordCount <= 64 + 2)
    for number in members { bitmap.remove(number) }
    #expect(bitmap == SparseBitmap())
    #expect(bitmap.wordCount == 0)
  }

  @Test func climbsOverFullLevels() {
    var bitmap = SparseBitmap()
    for number in UInt128(0)..<300_000 { bitmap.insert(number) }
    #expect(bitmap.firstMissing(from: 0, through: .max) == 300_000)
    #expect(bitmap.firstMissing(from: 0, through: 299_999) == nil)
    bitmap.remove(262_144)
    #expect(bitmap.firstMissing(from: 1, through: .max) == 262_144)
    #expect(bitmap.firstMissing(from: 262_145, through: .max) == 300_000)
    bitmap.remove(5)
    #expect(bitmap.firstMissing(from: 0, through: .max) == 5)
    #expect(bitmap.firstMissing(from: 6, through: .max) == 262_144)
    bitmap.insert(5)
    #expect(bitmap.firstMissing(from: 0, through: .max) == 262_144)
  }

  @Test func isEmptyRangeWhenBackwards() {
    #expect(SparseBitmap().firstMissing(from: 2, through: 1) == nil)
    #expect(SparseBitmap().firstMissing(from: .max, through: .max) == .max)
  }
}
