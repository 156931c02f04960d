import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// A socket of the real kernel that is not read loses events.
@Suite struct EventLossTests {
  @Test func lossIsSaidAndWhatComesAfterDrainingIsNew() throws {
    let host = try VethNamespace()
    let socket = try host.kernel.openSocket(.route, in: host.namespace)
    try socket.join(group: 1)
    func change(mtu: UInt32) -> NetlinkRequest {
      var change = LinkChange()
      change.mtu = mtu
      return LinkRequests.change(host.link.index, change)
    }
    // More than 16 MiB of events, the capacity of the socket's buffer with the kernel's own overhead.
    for _ in 0..<150 {
      for outcome in try host.connection.perform((0..<128).map { change(mtu: 1300 + $0 % 2) }) {
        #expect(outcome.error == nil)
      }
    }
    let error = #expect(throws: NetworkError.self) { try socket.nextEvent() }
    #expect(error?.kernel?.errno == .noBufferSpace)
    try socket.drain()
    try host.connection.execute(change(mtu: 1444))
    let event = try #require(try socket.nextEvent())
    #expect(try NetlinkMessage.parse(event[...]).map { try Link($0).mtu } == [1444])
  }
}
