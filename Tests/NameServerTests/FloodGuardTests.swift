import ContainerNetworking
import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

@testable import ContainerNetworkingDNS

/// A flooding sender is blocked for a moment, and then unblocked.
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
    // Reads as the server does; a block ends after a pause.
    func read(at time: NIODeadline) -> Bool {
      var isNew = false
      for _ in 0..<16 {
        for _ in 0..<32 { floodGuard.count(sender) }
        if floodGuard.shutsOut(at: time) { isNew = true }
      }
      return isNew
    }
    let start = NIODeadline.now()
    #expect(read(at: start))
    // Datagrams queued before the block are still being read a while later, and do not extend it.
    #expect(!read(at: start + .milliseconds(125)))
    var buffer = [UInt8](repeating: 0, count: 16)
    func take() -> UInt8? {
      (try? unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }) == 1 ? buffer[0] : nil
    }
    while take() != nil {}
    floodGuard.letIn(at: start + FloodGuard.pause - .milliseconds(1))
    _ = try? flooder.writeAll([2])
    #expect(take() == nil)
    // No further pause is pending.
    floodGuard.letIn(at: start + FloodGuard.pause)
    _ = try flooder.writeAll([3])
    #expect(take() == 3)
  }
}
