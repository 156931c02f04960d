import BenchmarkKit
import Testing

@Suite struct ArgumentsTests {
  @Test func optionsAndFlags() {
    let arguments = Arguments(["--rounds", "12", "--quick", "--counts", "1,x,30", "--json"])
    #expect(arguments.number("--rounds", default: 1) == 12)
    #expect(arguments.number("--others", default: 7) == 7)
    #expect(arguments.numbers("--counts", default: []) == [1, 30])
    #expect(arguments.numbers("--sizes", default: [5]) == [5])
    #expect(arguments.has("--quick"))
    #expect(!arguments.has("--slow"))
    #expect(arguments["--json"] == nil)
  }
}
