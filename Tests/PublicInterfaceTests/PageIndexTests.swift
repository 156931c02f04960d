import Foundation
import Testing

/// The pages lead to each other.
@Suite struct PageIndexTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  private static func pages() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Documentation").path())
      .filter { $0.hasSuffix(".md") }.map { "Documentation/\($0)" }
  }

  private static func links(_ page: String) throws -> [String] {
    try text(page).matches(of: #/\]\(([^)\s]+)\)/#).map { String($0.1) }
  }

  @Test func indexHasEveryPage() throws {
    let rows = try Self.text("Documentation/README.md").split(separator: "\n").filter { $0.hasPrefix("| [") }
    for page in try Self.pages() where page != "Documentation/README.md" {
      let name = page.dropFirst("Documentation/".count)
      #expect(rows.count { $0.contains("](\(name))") } == 1, "\(page)")
    }
  }

  /// What a heading is linked by: its letters, digits, `_` and `-` in lower case, with `-` for spaces.
  private static func anchors(of page: URL) throws -> Set<String> {
    let prose = try String(contentsOf: page, encoding: .utf8).replacing(#/(?s)```.*?\n```/#, with: "")
    let headings = prose.matches(of: #/(?m)^#+ (.*)$/#).map { $0.1.replacing(#/\[([^\]]*)\]\([^)]*\)/#) { $0.1 } }
    return Set(
      headings.map { heading in
        heading.lowercased().filter { $0.isLetter || $0.isNumber || "_- ".contains($0) }.replacing(" ", with: "-")
      })
  }

  private static let others = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]

  @Test func linksLeadToWhatIsThere() throws {
    for page in try Self.pages() + Self.others {
      let directory = Self.root.appending(path: page).deletingLastPathComponent()
      for link in try Self.links(page) where !link.contains("://") {
        let path = String(link.prefix { $0 != "#" })
        let target =
          path.isEmpty ? Self.root.appending(path: page) : directory.appending(path: path).standardizedFileURL
        let isThere = FileManager.default.fileExists(atPath: target.path())
        #expect(isThere, "\(page): \(link)")
        guard isThere, let hash = link.firstIndex(of: "#"), target.pathExtension == "md" else { continue }
        let anchor = String(link[link.index(after: hash)...])
        #expect(try Self.anchors(of: target).contains(anchor), "\(page): \(link)")
      }
    }
  }

  /// The README's snippet for a dependent package equals Examples/client except for the path; its products are all of
  /// them.
  @Test func readmeTellsWhatADependentPackageWrites() throws {
    let readme = try Self.text("README.md")
    let manifest = try Self.text("Package.swift")
    let products = Set(manifest.matches(of: #/\.(?:library|executable)\(name: "([\w-]+)"/#).map { String($0.1) })
    let table = try #require(readme.firstMatch(of: #/(?s)## In your package\n(.*?)\n## /#)).1
    let told = Set(table.matches(of: #/\| `([\w-]+)` \|/#).map { String($0.1) })
    #expect(products.subtracting(told) == [], "not in README")
    #expect(told.subtracting(products) == [], "no product")
    #expect(table.contains(".package(name: \"ContainerNetworking\", path: "))
    let package = try #require(
      try Self.text("Examples/client/Package.swift").firstMatch(of: #/\.product\(name: "ContainerNetworking", .*?\)/#))
    #expect(table.contains(String(package.0)))
  }
}
