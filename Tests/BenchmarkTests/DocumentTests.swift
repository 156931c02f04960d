import BenchmarkKit
import FoundationEssentials
import TestSupport
import Testing

@Suite struct DocumentTests {
  private static var documentation: String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Documentation").path
  }

  @Test func pageIsWhatTheRecordedRunMakes() throws {
    let differing = try Document(Self.documentation).differences()
    #expect(
      differing.isEmpty, "make it again: benchmark --from Documentation/Performance.json --document Documentation")
  }

  @Test func replacesWhatIsBetweenTheMarks() {
    let page = "before\n<!-- made by make bench: a -->\nold\n<!-- end of a -->\nafter"
    var text = MarkedText(page)
    let isReplaced = text.replace("a", with: "| new |")
    #expect(isReplaced)
    #expect(text.text == "before\n<!-- made by make bench: a -->\n\n| new |\n\n<!-- end of a -->\nafter")
    let once = text.text
    let isReplacedAgain = text.replace("a", with: "| new |")
    #expect(isReplacedAgain)
    #expect(text.text == once)
  }

  @Test(arguments: [
    "no mark", "<!-- made by make bench: a -->\nno end", "<!-- end of a -->\n<!-- made by make bench: a -->\n",
    "<!-- made by make bench: a -->\n<!-- end of a --><!-- made by make bench: a -->\n<!-- end of a -->",
  ])
  func leavesAPageWithoutThePartAlone(_ page: String) {
    var text = MarkedText(page)
    let isReplaced = text.replace("a", with: "new")
    #expect(!isReplaced)
    #expect(text.text == page)
  }

  @Test func runsSurviveTheirFile() throws {
    var results = Results(machine: Machine(commit: "0123abc", packages: []))
    results.measurements = [
      Measurement(.ready, of: .library, at: 0, records: .sqlite, [1, 2, 3]),
      Measurement(.attach, of: .cni, at: 500, [100_000.55]),
    ]
    results.remarks = ["Not measured: \"docker\"\nat all"]
    let read = try Results(json: Data(try results.json().utf8))
    #expect(read.machine == results.machine)
    #expect(read.measurements == results.measurements)
    #expect(read.remarks == results.remarks)
  }

  @Test func targetsSayWhatIsMetAndWhatIsNot() throws {
    var results = Results(machine: Machine(commit: "", packages: []))
    results.measurements = [
      Measurement(.attach, of: .library, at: 1, [1_000]), Measurement(.attach, of: .netavark, at: 1, [49_000]),
      Measurement(.attach, of: .cni, at: 1, [130_000]),
    ]
    let targets = try #require(Tables(results).parts.first { $0.name == "targets" }).text.split(separator: "\n")
    #expect(targets.contains("| netavark's attach to ours, beside 1 | ≥ 50 × | 49 × | not met |"))
    #expect(targets.contains("| CNI bridge+portmap+firewall's attach to ours, beside 1 | ≥ 120 × | 130 × | met |"))
    #expect(
      targets.contains("| docker's attach to ours, beside 1 | ≥ 25 × | not measured |  |"))
  }

  @Test func peersAreComparedWithTheLibraryOfTheirCount() throws {
    var results = Results(machine: Machine(commit: "", packages: []))
    results.measurements = [
      Measurement(.attach, of: .library, at: 1, [1_000]), Measurement(.attach, of: .library, at: 500, [4_000]),
      Measurement(.attach, of: .netavark, at: 500, [200_000, 220_000]),
    ]
    let peers = try #require(Tables(results).parts.first { $0.name == "peers" }).text.split(separator: "\n")
    #expect(peers.contains("| 500 | netavark | 210,000 | 53 | 220,000 | – | – | – | – | 2 |"))
  }
}

@Suite struct ChartTests {
  @Test func barsOfEveryContenderFitThePicture() throws {
    var generator = SeededGenerator()
    var results = Results(machine: Machine(commit: "", packages: []))
    results.measurements = Contestant.allCases.prefix(5).flatMap { who in
      [0, 1_000].map { Measurement(.attach, of: who, at: $0, [.random(in: 900...900_000, using: &generator)]) }
    }
    let svg = Chart(results).svg
    let widths = svg.split(separator: "<rect").compactMap { part -> Double? in
      guard part.contains("class=\"bar"), let start = part.firstRange(of: "width=\"") else { return nil }
      return Double(part[start.upperBound...].prefix { $0 != "\"" })
    }
    // Ten bars, and five colors of the legend.
    #expect(widths.count == 15)
    #expect(widths.allSatisfy { $0 > 0 && $0 <= 640 })
    #expect(svg.contains("prefers-color-scheme: dark"))
  }

  @Test func nothingMeasuredIsAnEmptyPicture() {
    let svg = Chart(Results(machine: Machine(commit: "", packages: []))).svg
    #expect(svg.hasPrefix("<svg") && svg.hasSuffix("</svg>\n"))
  }
}
