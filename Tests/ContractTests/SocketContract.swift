import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// Sockets of a namespace: the real kernel's work from any thread, and the simulated one reports that it has none.
@Suite struct SocketContract {
  private static let place = TransportAddress(.loopback(.ipv4), 53, .udp)

  @Test func theSimulatedKernelHasNone() throws {
    let contract = try Contract(.simulated)
    let error = #expect(throws: NetworkError.self) {
      _ = try contract.kernel.bindSocket(to: Self.place, in: contract.namespace)
    }
    #expect(error?.code == .unsupported)
    let second = #expect(throws: NetworkError.self) {
      _ = try contract.kernel.connectSocket(to: Self.place, in: contract.namespace)
    }
    #expect(second?.code == .unsupported)
  }

  @Test(.enabled(if: KernelUnderTest.available.contains(.linux)), arguments: AddressFamily.allCases)
  func aServerIsReachedInItsNamespaceOnly(_ family: AddressFamily) throws {
    let contract = try Contract(.linux)
    try contract.route.execute(LinkRequests.change(1, LinkChange(isUp: true)))
    for transport in [TransportProtocol.udp, .tcp] {
      // An address that the namespace does not have; the kernel may still bind to it.
      let later = TransportAddress(try IPAddress(family == .ipv4 ? "10.9.8.7" : "fd00:9::7"), 53, transport)
      try contract.kernel.bindSocket(to: later, in: contract.namespace).close()

      let address = TransportAddress(.loopback(family), 5353, transport)
      let server = try contract.kernel.bindSocket(to: address, in: contract.namespace)
      let client = try contract.kernel.connectSocket(to: address, in: contract.namespace)
      _ = waits(client, for: POLLOUT)
      #expect(try client.writeAll([1, 2, 3]) == 3)
      #expect(waits(server, for: POLLIN))
      let stranger = try contract.another()
      try stranger.route.execute(LinkRequests.change(1, LinkChange(isUp: true)))
      let other = try? stranger.kernel.connectSocket(to: address, in: stranger.namespace)
      if let other {
        _ = waits(other, for: POLLOUT)
        #expect(throws: Errno.connectionRefused) {
          // A datagram's refusal comes with the next call.
          _ = try other.writeAll([1])
          _ = waits(other, for: POLLIN)
          _ = try other.writeAll([1])
        }
        try other.close()
      }

      let error = #expect(throws: NetworkError.self) {
        _ = try contract.kernel.bindSocket(to: address, in: contract.namespace)
      }
      #expect(error?.code == .inUse)
      let text = error?.description ?? ""
      #expect(text.contains("5353/\(transport)") && text.contains("(process \(getpid()))"), "\(text)")
      try client.close()
      try server.close()
      let again = try contract.kernel.bindSocket(to: address, in: contract.namespace)
      try again.close()
    }
  }

  @Test(.enabled(if: KernelUnderTest.available.contains(.linux)))
  func whatCannotBeIsSaid() throws {
    let contract = try Contract(.linux)
    let sctp = #expect(throws: NetworkError.self) {
      _ = try contract.kernel.bindSocket(
        to: TransportAddress(.loopback(.ipv4), 53, .sctp), in: contract.namespace)
    }
    #expect(sctp?.code == .unsupported)
    let unreachable = #expect(throws: NetworkError.self) {
      _ = try contract.kernel.connectSocket(
        to: TransportAddress(try IPAddress("192.0.2.1"), 53, .udp), in: contract.namespace)
    }
    #expect(unreachable?.kernel?.errno == .networkUnreachable)
  }

  private func waits(_ socket: FileDescriptor, for events: Int32) -> Bool {
    var descriptor = pollfd(fd: socket.rawValue, events: Int16(events), revents: 0)
    return unsafe poll(&descriptor, 1, 20_000) > 0
  }
}
