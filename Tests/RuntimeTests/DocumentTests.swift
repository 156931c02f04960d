import Foundation
import Testing

/// The page about testing shows the very code that is compiled and run here.
@Suite struct DocumentTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  private static func swiftBlocks(of page: String) -> [String] {
    page.components(separatedBy: "```swift\n").dropFirst().compactMap { rest in
      rest.components(separatedBy: "\n```\n").first
    }
  }

  @Test func pageIsTheCodeOfTheTests() throws {
    let blocks = Self.swiftBlocks(of: try Self.text("Documentation/Testing.md"))
    let runtime = try Self.text("Tests/RuntimeTests/Runtime.swift")
    let tests = try Self.text("Tests/RuntimeTests/RuntimeTests.swift")
    try #require(blocks.count > 3)
    let shown = blocks[1] + "\n"
    #expect(shown == runtime)
    let shownTests = blocks[2...].joined(separator: "\n\n") + "\n"
    #expect(shownTests == tests)
  }

  @Test func pageNamesProductsThatThePackageHas() throws {
    let manifest = try Self.text("Package.swift")
    let block = try #require(Self.swiftBlocks(of: try Self.text("Documentation/Testing.md")).first)
    let products = block.matches(of: #/product\(name: "(\w+)", package: "(\w+)"\)/#)
    #expect(products.map { String($0.1) } == ["ContainerNetworking", "ContainerNetworkingTestKit"])
    for product in products {
      #expect(manifest.contains(".library(name: \"\(product.1)\""))
      #expect(manifest.contains("name: \"\(product.2)\",\n  products:"))
    }
  }
}
