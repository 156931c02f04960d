import ContainerNetworking
import ContainerNetworkingDNS
import Glibc
import SystemPackage
import TestSupport

/// Asks a server from inside a namespace, octet by octet, without any resolver between.
struct Resolver {
  let namespace: NetworkNamespace
  let server: IPAddress

  /// The default wait for an answer, milliseconds; only forbidden answers take that long.
  static var patience: Int { Int(Patience.milliseconds) }

  /// The answer to a question; nil when none comes.
  func ask(
    _ name: String, _ type: RecordType = .a, over transport: TransportProtocol = .udp, edns: EDNS? = nil,
    flags: Message.Flags = .recursionDesired, within milliseconds: Int = patience
  ) throws -> Message? {
    var query = Message(
      id: .random(in: 0...(.max)), asking: Question(try DomainName(parsing: name), type), edns: edns)
    query.flags = flags
    return try ask(query, over: transport, within: milliseconds)
  }

  /// The answer to a message; nil when none comes.
  func ask(
    _ query: Message, over transport: TransportProtocol = .udp, within milliseconds: Int = patience
  ) throws -> Message? {
    let link = try Wire(namespace, server, transport)
    defer { link.close() }
    try link.send(query.encoded())
    while let bytes = try link.receive(within: milliseconds) {
      let answer = try Message(parsing: bytes)
      if answer.id == query.id { return answer }
    }
    return nil
  }

  /// The addresses of a name, in order; nil unless it is known.
  func addresses(_ name: String, _ type: RecordType = .a) throws -> [String]? {
    guard let answer = try ask(name, type), answer.responseCode == .noError else { return nil }
    return answer.addresses
  }
}

extension Message {
  /// The addresses that it answers with, in order.
  var addresses: [String] {
    answers.compactMap { record in
      switch record.data {
      case .a(let address): address.description
      case .aaaa(let address): address.description
      default: nil
      }
    }.sorted()
  }
}

/// A socket to a server. By TCP, each message has its length before it.
struct Wire {
  let socket: FileDescriptor
  let transport: TransportProtocol

  init(_ namespace: NetworkNamespace, _ server: IPAddress, _ transport: TransportProtocol, port: UInt16 = 53) throws {
    self.transport = transport
    socket = try namespace.connectSocket(to: TransportAddress(server, port, transport))
    if transport == .tcp { _ = waits(for: POLLOUT, 20_000) }
  }

  func close() { try? socket.close() }

  func send(_ message: [UInt8]) throws {
    let length = [UInt8(message.count >> 8), UInt8(message.count & 0xff)]
    try sendRaw(transport == .tcp ? length + message : message)
  }

  func sendRaw(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      do {
        let count = try unsafe rest.withUnsafeBytes { try unsafe socket.write($0) }
        rest = rest.dropFirst(count)
      } catch Errno.resourceTemporarilyUnavailable { guard waits(for: POLLOUT, 20_000) else { throw Errno.timedOut } }
    }
  }

  /// The next message; nil when none comes, and at the end of a connection.
  func receive(within milliseconds: Int) throws -> [UInt8]? {
    guard transport == .tcp else { return try read(65_535, within: milliseconds) }
    guard let length = try readAll(2, within: milliseconds) else { return nil }
    return try readAll(Int(length[0]) << 8 | Int(length[1]), within: milliseconds)
  }

  /// Whether the other end closes the connection in that time.
  func isClosed(within milliseconds: Int) -> Bool {
    let end = ContinuousClock.now + .milliseconds(milliseconds)
    while ContinuousClock.now < end {
      do { if try read(4096, within: 100) == [] { return true } } catch { return true }
    }
    return false
  }

  private func readAll(_ count: Int, within milliseconds: Int) throws -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard let more = try read(count - bytes.count, within: milliseconds), !more.isEmpty else { return nil }
      bytes += more
    }
    return bytes
  }

  private func read(_ limit: Int, within milliseconds: Int) throws -> [UInt8]? {
    guard waits(for: POLLIN, milliseconds) else { return nil }
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }
    return Array(buffer[..<count])
  }

  private func waits(for events: Int32, _ milliseconds: Int) -> Bool {
    var descriptor = pollfd(fd: socket.rawValue, events: Int16(events), revents: 0)
    return unsafe poll(&descriptor, 1, Int32(milliseconds)) > 0
  }
}
