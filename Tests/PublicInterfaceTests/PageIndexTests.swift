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
    let listed = Set(try Self.links("Documentation/README.md").map { "Documentation/\($0)" })
    for page in try Self.pages() where page != "Documentation/README.md" { #expect(listed.contains(page), "\(page)") }
  }

  @Test func linksLeadToWhatIsThere() throws {
    for page in try Self.pages() + ["README.md"] {
      let directory = Self.root.appending(path: page).deletingLastPathComponent()
      for link in try Self.links(page) where !link.contains("://") && !link.hasPrefix("#") {
        let path = String(link.prefix { $0 != "#" })
        let isThere = FileManager.default.fileExists(atPath: directory.appending(path: path).standardizedFileURL.path())
        #expect(isThere, "\(page): \(link)")
      }
    }
  }

  /// What README has a dependent package write is what Examples/client does, but for the path; products are all of them.
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
