import Foundation
import Netlink
import SystemPackage
import Testing

/// Directories that several users make at the same time, as containers that start together do.
@Suite struct DirectoryTreeTests {
  @Test func severalMakeTheSameParents() async throws {
    let base = FileManager.default.temporaryDirectory.appending(path: "tree-\(UUID().uuidString)").path()
    defer { try? FileManager.default.removeItem(atPath: base) }
    for round in 0..<400 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<4 { group.addTask { try DirectoryTree.make(FilePath("\(base)/\(round)/parent/\(number)")) } }
        try await group.waitForAll()
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(base)/\(round)/parent").count == 4)
    }
  }
}
