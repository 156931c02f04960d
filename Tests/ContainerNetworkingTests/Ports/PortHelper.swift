import ContainerNetworking
import Foundation
import Synchronization
import SystemPackage

/// The program `port-helper`, started in a namespace: something foreign that holds a port, or a client that keeps its own.
final class PortHelper: Sendable {
  private let process: ChildProcess
  private let input: FileDescriptor
  private let output: FileDescriptor
  private let isStopped = Atomic(false)

  private init(_ arguments: [String], in namespace: NetworkNamespace) throws {
    let (input, output) = (try FileDescriptor.pipe(), try FileDescriptor.pipe())
    let helper = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "port-helper").path
    var command = Command(helper, arguments)
    command.input = input.readEnd
    command.output = output.writeEnd
    command.endsWithParent = true
    process = try namespace.spawn(command)
    try input.readEnd.close()
    try output.writeEnd.close()
    self.input = input.writeEnd
    self.output = output.readEnd
  }

  /// Holds a port until it is stopped, and by UDP answers everyone; `*` is all addresses of both families.
  static func hold(
    _ transport: TransportProtocol, _ address: String, _ port: UInt16, answering greeting: String? = nil,
    in namespace: NetworkNamespace
  ) throws -> PortHelper {
    let helper = try PortHelper(
      ["hold", "\(transport)", address, "\(port)"] + (greeting.map { [$0] } ?? []), in: namespace)
    guard try helper.line() == "ready" else {
      throw NetworkError(.replyLost, operation: "hold \(address) \(port)", reason: "port-helper did not start")
    }
    return helper
  }

  /// A UDP client of an address that keeps its own port.
  static func client(of address: String, _ port: UInt16, in namespace: NetworkNamespace) throws -> PortHelper {
    try PortHelper(["ask", address, "\(port)"], in: namespace)
  }

  /// The server that answers the client's next datagram; nil for none.
  func ask() throws -> String? {
    try input.writeAll("hello\n".utf8)
    let answer = try line()
    return answer == "-" ? nil : answer
  }

  private func line() throws -> String {
    var bytes: [UInt8] = []
    var byte: [UInt8] = [0]
    while try unsafe byte.withUnsafeMutableBytes({ buffer in try unsafe output.read(into: buffer) }) == 1 {
      if byte[0] == 0x0a { break }
      bytes += byte
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Ends it and waits for that; once, since a descriptor's number may be another's by the second time.
  func stop() {
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    try? process.signal(9)
    _ = try? process.wait(timeout: .seconds(5))
    try? input.close()
    try? output.close()
  }
}
