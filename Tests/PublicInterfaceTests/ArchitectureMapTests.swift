import Foundation
import Testing

/// The map of types of Documentation/Architecture.md is that of the sources.
@Suite struct ArchitectureMapTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL

  /// A type of the map, and the folders that it is said to be in.
  private struct Place {
    var type: String
    var folders: [String]
  }

  private static func cells(_ row: Substring) -> [String] {
    row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }

  private static func quoted(_ text: String) -> [String] {
    text.matches(of: #/`([^`]+)`/#).map { String($0.1) }
  }

  private static func places() throws -> (places: [Place], called: [String]) {
    let page = try String(contentsOf: root.appending(path: "Documentation/Architecture.md"), encoding: .utf8)
    let section = try #require(page.firstMatch(of: #/(?s)\n## A map of types\n(.*?)\n## /#)).1
    var places: [Place] = []
    var called: [String] = []
    var folders: [String] = []
    for row in section.split(separator: "\n") where row.hasPrefix("| ") && !row.hasPrefix("| folder ") {
      let cells = cells(row)
      // A folder is written once for the rows that follow.
      let named = quoted(cells[0])
      if !named.isEmpty { folders = named }
      places += quoted(cells[1]).map { Place(type: $0, folders: folders) }
      called += quoted(cells[3])
    }
    return (places, called)
  }

  /// The types that Swift files of a folder declare, those of its folders too.
  private static func types(in folder: String) throws -> Set<String> {
    let directory = root.appending(path: "Sources/\(folder)")
    let files = try FileManager.default.subpathsOfDirectory(atPath: directory.path()).filter { $0.hasSuffix(".swift") }
    var types: Set<String> = []
    for file in files {
      let text = try String(contentsOf: directory.appending(path: file), encoding: .utf8)
      for match in text.matches(of: #/(?m)^(?:public |package )?(?:final )?(?:struct|class|enum|protocol) (\w+)/#) {
        types.insert(String(match.1))
      }
    }
    return types
  }

  @Test func typesAreWhereTheMapSays() throws {
    let (places, called) = try Self.places()
    #expect(places.count > 40)
    for place in places {
      let isThere = try place.folders.contains { try Self.types(in: $0).contains(place.type) }
      #expect(isThere, "no folder of \(place.folders) declares \(place.type)")
    }
    let known = try Self.types(in: ".")
    for name in called {
      let isModule = FileManager.default.fileExists(atPath: Self.root.appending(path: "Sources/\(name)").path())
      #expect(known.contains(name) || isModule, "the map names \(name), which is not there")
    }
  }

  @Test func foldersWithATypeOfSomeSizeAreOnTheMap() throws {
    let listed = Set(try Self.places().places.flatMap(\.folders))
    let directory = Self.root.appending(path: "Sources/ContainerNetworking")
    for folder in try FileManager.default.contentsOfDirectory(atPath: directory.path()) {
      let path = "ContainerNetworking/\(folder)"
      guard !folder.contains("."), try Self.types(in: path).count > 2 else { continue }
      #expect(listed.contains(path), "\(path) has no row on the map")
    }
  }
}
