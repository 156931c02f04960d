import CContainerNetworking
import Glibc
import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// The holder of a port, as in `dnsmasq (process 421)`; nil if this process may not see it.
  ///
  /// Looks the socket up in the kernel's table (proc_pid_net(5)), then finds the process with its descriptor
  /// (proc_pid_fd(5)).
  func holder(of binding: TransportAddress, in namespace: NamespaceHandle) -> String? {
    var sockets: Set<String> = []
    // An IPv6 wildcard socket may hold the IPv4 port too.
    for suffix in binding.address.family == .ipv4 ? ["", "6"] : ["6"] {
      let table = text(of: "/proc/thread-self/net/\(binding.transport)\(suffix)", in: namespace)
      sockets.formUnion(Self.sockets(in: table, that: binding))
    }
    guard !sockets.isEmpty else { return nil }
    for process in Processes.all() {
      for descriptor in Processes.descriptors(of: process) {
        guard let target = Processes.target(of: descriptor), sockets.contains(target) else { continue }
        let name = text(of: "/proc/\(process)/comm", in: namespace).prefix { $0 != "\n" }
        return "\(name) (process \(process))"
      }
    }
    return nil
  }

  /// The sockets of a table that conflict with the binding, in the form of `/proc/PID/fd` links.
  private static func sockets(in table: String, that binding: TransportAddress) -> [String] {
    table.split(separator: "\n").dropFirst().compactMap { line in
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count > 9 else { return nil }
      let local = fields[1].split(separator: ":")
      guard local.count == 2, UInt16(local[1], radix: 16) == binding.port else { return nil }
      // State 0A is TCP_LISTEN (net/tcp_states.h).
      guard binding.transport == .udp || fields[3] == "0A" else { return nil }
      let isWildcard = local[0].utf8.allSatisfy { $0 == UInt8(ascii: "0") }
      return isWildcard || String(local[0]) == kernelText(binding.address) ? "socket:[\(fields[9])]" : nil
    }
  }

  /// An address in the form of those tables: words of four bytes, each in the machine's order.
  private static func kernelText(_ address: IPAddress) -> String {
    let bytes = address.bytes
    return stride(from: 0, to: bytes.count, by: 4).map { place in
      let word = bytes[place..<(place + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      let digits = String(UInt32(bigEndian: word), radix: 16, uppercase: true)
      return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }.joined()
  }

  private func text(of path: String, in namespace: NamespaceHandle) -> String {
    let descriptor = unsafe cn_namespace_open_file(namespace.descriptor, path, O_RDONLY)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }
}
