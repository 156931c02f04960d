import ContainerNetworking
import ContainerNetworkingDNS
import Glibc
import SystemPackage

/// Sends one query at a time, to find the moment when a server answers.
enum Probe {
  static func query(_ name: String) -> [UInt8] {
    Message(id: 7, asking: Question(DomainName(name) ?? .root, .a)).encoded()
  }

  /// Whether an address comes within two milliseconds.
  static func isAnswered(_ query: [UInt8], by server: String, from namespace: NetworkNamespace) throws -> Bool {
    let socket = try namespace.connectSocket(to: TransportAddress(try IPAddress(server), 53, .udp))
    defer { try? socket.close() }
    do { _ = try socket.writeAll(query) } catch { return false }
    var descriptor = pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&descriptor, 1, 2) > 0 else { return false }
    var bytes = [UInt8](repeating: 0, count: 512)
    guard let count = try? unsafe bytes.withUnsafeMutableBytes({ try unsafe socket.read(into: $0) }),
      let message = try? Message(parsing: bytes[..<count])
    else {
      // Without a server: waits before the next query.
      usleep(500)
      return false
    }
    return !message.answers.isEmpty
  }
}
