import Foundation
import Testing

/// The version number is written once; the changelog tells of the same version.
@Suite struct VersionTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL
  private static let place = "Sources/AdapterSupport/Product.swift"

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  private static func version() throws -> String {
    let match = try text(place).firstMatch(of: #/static let version = "(\d+\.\d+\.\d+)"/#)
    return String(try #require(match).1)
  }

  @Test func newestEntryOfTheChangelogIsTheVersion() throws {
    let headings = try Self.text("CHANGELOG.md").matches(
      of: #/(?m)^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d\d-\d\d)\)$/#)
    let entries = try Self.text("CHANGELOG.md").matches(of: #/(?m)^## /#)
    #expect(headings.count == entries.count, "a heading is a version and its date")
    #expect(try String(#require(headings.first).1) == Self.version())
    #expect(headings.dropFirst().allSatisfy { $0.2 != "unreleased" })
  }

  /// No other source file has the number as a version of ours.
  @Test func versionIsWrittenOnce() throws {
    let version = try Self.version()
    let sources = Self.root.appending(path: "Sources")
    let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path()).filter { $0.hasSuffix(".swift") }
    #expect(files.count > 100)
    let others = try files.filter { "Sources/\($0)" != Self.place }.filter { file in
      try Self.text("Sources/\(file)").contains("version: \"\(version)\"")
    }
    #expect(others == [])
  }
}
