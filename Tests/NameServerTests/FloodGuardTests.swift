import ContainerNetworking
import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

@testable import ContainerNetworkingDNS

/// Who floods a socket is shut out for a moment, and let in again.
@Suite(.timeLimit(.minutes(5))) struct FloodGuardTests {
  @Test func whoIsShutOutIsLetInAgain() async throws {
    let host = try NetworkNamespace.create()
    let sender = try IPAddress("127.0.0.1")
    let socket = try host.bindSocket(to: TransportAddress(sender, 5_353, .udp))
    defer { try? socket.close() }
    DatagramSocket.setReceiveBuffer(32 << 10, of: socket)
    let flooder = try host.connectSocket(to: TransportAddress(sender, 5_353, .udp))
    defer { try? flooder.close() }
    for _ in 0..<10_000 where DatagramSocket.queuePercent(of: socket) <= 60 { _ = try? flooder.writeAll([1]) }
    #expect(DatagramSocket.queuePercent(of: socket) > 50)

    var floodGuard = FloodGuard(socket)
    // As the server reads: what it shuts out is to be let in after a pause.
    func read() -> Bool {
      var isNew = false
      for _ in 0..<16 {
        for _ in 0..<32 { floodGuard.count(sender) }
        if floodGuard.shutsOut() { isNew = true }
      }
      return isNew
    }
    #expect(read())
    let deadline = NIODeadline.now() + FloodGuard.pause
    // What it sent before is still being read a while later.
    try await Task.sleep(for: .milliseconds(125))
    #expect(!read())
    while NIODeadline.now() < deadline { try await Task.sleep(for: .milliseconds(10)) }
    floodGuard.letIn()
    // Nobody waits for another pause.
    var buffer = [UInt8](repeating: 0, count: 16)
    while (try? unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }) != nil {}
    _ = try flooder.writeAll([2])
    #expect(try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) } == 1)
    #expect(buffer[0] == 2)
  }
}
