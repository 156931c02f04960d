import ContainerNetworking
import Foundation
import SystemPackage

/// The program `lab-agent`, started in a namespace: it answers, records arrivals, and sends probes.
final class Agent: Sendable {
  private let name: String
  private let process: ChildProcess
  private let input: FileDescriptor
  private let output: FileDescriptor

  init(_ name: String, in namespace: NetworkNamespace) throws {
    self.name = name
    let (input, output) = (try FileDescriptor.pipe(), try FileDescriptor.pipe())
    let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "lab-agent").path
    var command = Command(program, [name])
    command.input = input.readEnd
    command.output = output.writeEnd
    command.endsWithParent = true
    process = try namespace.spawn(command)
    try input.readEnd.close()
    try output.writeEnd.close()
    self.input = input.writeEnd
    self.output = output.readEnd
    try expect("ready", of: try lines(through: "ready"))
  }

  /// Ends the program: with its input its work is over.
  deinit {
    try? input.close()
    try? output.close()
    _ = try? process.wait(timeout: .seconds(5))
  }

  func tell(_ command: String) throws { try input.writeAll("\(command)\n".utf8) }

  /// Its output up to and including a line.
  func lines(through last: String) throws -> [String] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let end = Array("\(last)\n".utf8)
    while !bytes.hasSuffix(end) {
      let count = try unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe output.read(into: bytes) }
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  func expect(_ last: String, of lines: [String]) throws {
    guard lines.last == last else {
      throw NetworkError(
        .replyLost, operation: "run lab-agent \(name)", reason: lines.last ?? "it ended without a word")
    }
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ end: [UInt8]) -> Bool { count >= end.count && self[(count - end.count)...] == end[...] }
}
