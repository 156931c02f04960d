import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import TestSupport

/// A frame made by hand.
struct Frame {
  var bytes: [UInt8]

  /// Broadcast. The payload ends with the number, by which ``FrameListener`` recognizes it.
  init(
    from source: MACAddress, type: UInt16, to destination: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    _ payload: [UInt8]
  ) {
    bytes = destination + source.bytes + Self.big(type) + payload
  }

  static func big(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

  /// The end of a frame's payload.
  static func mark(_ number: Int) -> [UInt8] { [0xc0, 0xff, 0xee, UInt8(number)] }

  /// A UDP datagram, by default broadcast; without a checksum.
  static func ipv4(
    from source: String, to destination: String = "255.255.255.255", _ number: Int, port: UInt16 = 7777
  ) throws -> [UInt8] {
    let payload = big(7777) + big(port) + big(12) + [0, 0] + mark(number)
    var header: [UInt8] = [0x45, 0] + big(UInt16(20 + payload.count)) + [0, 0, 0, 0, 64, 17, 0, 0]
    header += try IPAddress(source).bytes + IPAddress(destination).bytes
    var sum: UInt32 = 0
    for index in stride(from: 0, to: 20, by: 2) { sum += UInt32(header[index]) << 8 | UInt32(header[index + 1]) }
    while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
    header.replaceSubrange(10..<12, with: big(~UInt16(sum)))
    return header + payload
  }

  /// A packet to all nodes of the link.
  static func ipv6(from source: String, next: UInt8 = 17, hopLimit: UInt8 = 255, _ payload: [UInt8]) throws -> [UInt8] {
    try [0x60, 0, 0, 0] + big(UInt16(payload.count)) + [next, hopLimit] + IPAddress(source).bytes
      + IPAddress("ff02::1").bytes + payload
  }

  static func udp(_ number: Int) -> [UInt8] { big(7777) + big(7777) + big(12) + [0, 0] + mark(number) }

  /// A neighbour solicitation or advertisement (RFC 4861), 135 or 136, with the number as an unknown option; without a
  /// checksum.
  static func neighbor(_ type: UInt8, of target: String, _ number: Int) throws -> [UInt8] {
    try [type, 0, 0, 0, 0x20, 0, 0, 0] + IPAddress(target).bytes + [253, 1, 0, 0] + mark(number)
  }

  /// An announcement (RFC 826); the number is padding.
  static func arp(from mac: MACAddress, _ source: String, _ number: Int) throws -> [UInt8] {
    let address = try IPAddress(source).bytes
    return [0, 1, 8, 0, 6, 4, 0, 1] + mac.bytes + address + [0, 0, 0, 0, 0, 0] + address + mark(number)
  }

  /// A VLAN tag's number, and the payload after it.
  static func tagged(_ type: UInt16, vlan: UInt16 = 0, _ payload: [UInt8]) -> [UInt8] {
    big(vlan) + big(type) + payload
  }
}

/// Built beside the test bundle.
private let helper = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
  .appending(path: "frame-helper").path

extension Playground {
  /// Sends frames by an interface.
  func send(_ frames: [Frame], by interface: String, in namespace: NetworkNamespace) throws {
    let texts = frames.map { frame in
      frame.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    let (output, status) = try run(
      Command(helper, ["send", interface] + texts), in: namespace, includesErrors: true)
    guard status == .exited(0) else {
      throw NetworkError(.refused, operation: "send frames by \(interface)", reason: output)
    }
  }
}

/// Sees the marked frames that come in by an interface.
struct FrameListener {
  private let process: ChildProcess
  private let output: FileDescriptor

  /// Listens from now on.
  init(on interface: String, in namespace: NetworkNamespace) throws {
    let pipe = try FileDescriptor.pipe()
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
    defer {
      try? pipe.writeEnd.close()
      try? null.close()
    }
    var command = Command(helper, ["listen", interface])
    command.input = null
    command.output = pipe.writeEnd
    command.error = null
    command.endsWithParent = true
    process = try namespace.spawn(command)
    output = pipe.readEnd
    var ready = [UInt8](repeating: 0, count: 6)
    let count = try unsafe ready.withUnsafeMutableBytes { bytes in try unsafe output.read(into: bytes) }
    guard count == 6 else {
      throw NetworkError(.replyLost, operation: "listen on \(interface)", reason: "the listener is not ready")
    }
  }

  /// The numbers received until number 255; nil if that never came. Listens once.
  func numbers() throws -> [Int]? {
    defer { try? output.close() }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = try unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe output.read(into: bytes) }
      if count == 0 { break }
      text += buffer[..<count]
    }
    guard try process.wait(timeout: Patience.limit) == .exited(0) else { return nil }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int($0) }
  }
}
