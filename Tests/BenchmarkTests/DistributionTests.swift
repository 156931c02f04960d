import BenchmarkKit
import Testing

@Suite struct DistributionTests {
  @Test func medianOfOddAndEvenCounts() {
    #expect([3.0, 1, 2].median == 2)
    #expect([4.0, 1, 3, 2].median == 2.5)
    #expect([7.0].median == 7)
    #expect([Double]().median.isNaN)
  }

  @Test func percentilesAreNearestRanks() {
    let hundred = (1...100).map(Double.init).shuffled()
    #expect(hundred.percentile(0.99) == 99)
    #expect(hundred.percentile(0.5) == 50)
    #expect(hundred.percentile(1) == 100)
    #expect((1...1_000).map(Double.init).percentile(0.99) == 990)
    #expect([Double]().percentile(0.99).isNaN)
  }

  @Test func ofFewValuesThe99thPercentileIsTheGreatest() {
    for count in 1..<100 { #expect((1...count).map(Double.init).percentile(0.99) == Double(count)) }
  }

  @Test func measurementTakesValuesInAnyOrder() {
    let one = Measurement(.attach, of: .floor, at: 100, [30.04, 10, 20])
    #expect(one.count == 3)
    #expect(one.median == 20)
    #expect(one.p99 == 30)
  }
}
