import Foundation
import Testing

/// `make install` and `make uninstall`, with the programs that are built beside the tests.
@Suite(.timeLimit(.minutes(10))) struct InstallTests {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../.ci/install-check").standardizedFileURL

  /// The script installs below a directory of its own, runs the programs and reads the pages there, and finds nothing left
  /// after it uninstalled.
  @Test func everythingIsInstalledWorksAndIsTakenAway() throws {
    let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let process = Process()
    let output = Pipe()
    process.executableURL = Self.script
    process.environment = ProcessInfo.processInfo.environment.merging(["BUILD": built.path]) { $1 }
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    #expect(text.hasSuffix("is installed, works, and is taken away again\n"), "\(text)")
  }
}
