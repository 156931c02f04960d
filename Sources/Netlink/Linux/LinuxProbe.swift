import CContainerNetworking
import Glibc
public import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// A socket of the namespace; a raw one for an echo where the namespace forbids echo by datagram sockets.
  public func openProbe(
    _ packet: ProbePacket, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any PacketProbe {
    try LinuxProbe(packet, in: namespace)
  }
}

/// A socket that stays in its namespace, usable from any thread.
final class LinuxProbe: PacketProbe {
  private let descriptor: Int32
  private let packet: ProbePacket
  private let source: cn_port

  init(_ packet: ProbePacket, in namespace: NamespaceHandle) throws(NetworkError) {
    self.packet = packet
    var source = cn_port(packet.source ?? .any(packet.destination.family), 0, number: packet.transport)
    let operation = "open a socket that is to send to \(packet.destination)"
    descriptor = try check(unsafe cn_namespace_open_probe(namespace.descriptor, &source), "socket", operation)
    self.source = source
  }

  deinit { close(descriptor) }

  var sourcePort: UInt16 { source.port }

  func send() throws(NetworkError) {
    let (from, to) = (source, cn_port(packet.destination, packet.port ?? 0, number: packet.transport))
    let result = unsafe withUnsafePointer(to: from) { from in
      unsafe withUnsafePointer(to: to) { to in unsafe cn_probe_send(descriptor, from, to) }
    }
    try check(result, "send", "send a packet to \(packet.destination)")
  }

  func wait(timeout: Duration) throws(NetworkError) -> ProbeAnswer? {
    var answer = cn_answer()
    let result = unsafe withUnsafePointer(to: source) { from in
      unsafe cn_probe_wait(descriptor, from, timeout.milliseconds, &answer)
    }
    guard try check(result, "poll", "wait for an answer of \(packet.destination)") == 1 else { return nil }
    guard answer.error != 0 else { return .answered }
    var sender: IPAddress?
    if answer.has_address == 1 {
      let bytes = unsafe withUnsafeBytes(of: answer.address) { unsafe Array($0) }
      sender = IPAddress(bytes: bytes[..<(answer.is_ipv6 == 1 ? 16 : 4)])
    }
    return .failed(Errno(rawValue: answer.error), by: sender)
  }
}

extension cn_port {
  init(_ address: IPAddress, _ port: UInt16, number: UInt8) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &self.address) { room in
      for (index, byte) in address.bytes.enumerated() { unsafe room[index] = byte }
    }
    self.port = port
    is_ipv6 = address.family == .ipv6 ? 1 : 0
    `protocol` = number
  }
}
