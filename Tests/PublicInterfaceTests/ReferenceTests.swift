import Foundation
import Testing

/// The reference that `make docs` makes, of the modules that this test was built with.
@Suite(.timeLimit(.minutes(10))) struct ReferenceTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL

  /// docc refuses links that lead nowhere, in comments and in the catalogue.
  @Test func everyLinkOfTheReferenceLeadsSomewhere() throws {
    let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let out = FileManager.default.temporaryDirectory.appending(path: "reference-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let process = Process()
    let output = Pipe()
    process.executableURL = Self.root.appending(path: ".ci/docs")
    process.environment = ProcessInfo.processInfo.environment.merging(["BIN": built.path, "OUT": out.path]) { $1 }
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    let pages = out.appending(path: "ContainerNetworking.doccarchive/data/documentation")
    for module in SymbolGraph.modules.map({ $0.lowercased() }) + ["containernetworking/fivemodes"] {
      #expect(FileManager.default.fileExists(atPath: pages.appending(path: "\(module).json").path()), "\(module)")
    }
  }
}
