public import AddressPools
import NetworkPrimitives
import SystemPackage

extension DefaultPools {
  /// The ``standard(hostIdentifier:)`` pools of this machine, identified by /etc/machine-id (machine-id(5)) or, without
  /// that file, by its host name.
  public static func ofThisMachine() -> DefaultPools {
    standard(hostIdentifier: HostFiles.text("/etc/machine-id") ?? HostFiles.text("/proc/sys/kernel/hostname") ?? "")
  }
}

/// Machine files that address pools depend on.
enum HostFiles {
  /// The machine's name servers, from resolv.conf(5) and, behind a local stub, from systemd-resolved(8).
  static func resolvers() -> [IPAddress] {
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"].flatMap { resolvers(in: text($0) ?? "") }
  }

  /// The addresses of the `nameserver` lines, without zones (`%eth0`); lines without an address are skipped.
  static func resolvers(in text: String) -> [IPAddress] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count > 1, words[0] == "nameserver" else { return nil }
      return try? IPAddress(String(words[1].prefix { $0 != "%" }))
    }
  }

  /// The first 64 KiB of a file; nil if it cannot be read or is empty.
  static func text(_ path: FilePath) -> String? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
    defer { try? file.close() }
    let count = try? unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe file.read(into: bytes) }
    guard let count, count > 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
