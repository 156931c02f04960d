import ContainerNetworking
import Glibc
import NetworkPrimitives
import Synchronization
import SystemPackage

/// A server to ask.
struct UpstreamServer: Hashable, Sendable, CustomStringConvertible {
  var address: IPAddress
  /// The link of a link-local address, by name or number (RFC 4007, section 11).
  var zone: String?

  /// The form of resolv.conf(5).
  var description: String { zone.map { "\(address)%\($0)" } ?? "\(address)" }
}

/// The servers of the host's resolv.conf(5). The file is checked whenever a server is needed, and read again when it
/// has changed.
///
/// Unsafe code: stat(2) fills a struct of its own.
final class ResolverFile: Sendable {
  private struct Stamp: Equatable, Sendable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var modified: (Int, Int)
    var changed: (Int, Int)

    static func == (left: Stamp, right: Stamp) -> Bool {
      left.device == right.device && left.inode == right.inode && left.size == right.size
        && left.modified == right.modified && left.changed == right.changed
    }
  }

  private struct Known {
    var stamp: Stamp?
    var servers: [UpstreamServer] = []
  }

  private let path: FilePath
  private let known = Mutex(Known())

  /// The maximum number of servers used; the C library uses three.
  static let limit = 8

  init(_ path: FilePath) { self.path = path }

  /// The current servers of the file; none for a missing file.
  func servers() -> [UpstreamServer] {
    let stamp = self.stamp()
    return known.withLock { known in
      if stamp == nil || stamp != known.stamp {
        known.servers = stamp == nil ? [] : Self.servers(in: text())
        known.stamp = stamp
      }
      return known.servers
    }
  }

  /// The addresses of the `nameserver` lines; lines without one are skipped.
  static func servers(in text: String) -> [UpstreamServer] {
    var servers: [UpstreamServer] = []
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count > 1, words[0] == "nameserver", servers.count < limit else { continue }
      let parts = words[1].split(separator: "%", maxSplits: 1)
      guard let first = parts.first, let address = try? IPAddress(String(first)), !address.isUnspecified else {
        continue
      }
      let server = UpstreamServer(address: address, zone: parts.count > 1 ? String(parts[1]) : nil)
      if !servers.contains(server) { servers.append(server) }
    }
    return servers
  }

  private func stamp() -> Stamp? {
    var status = stat()
    guard unsafe stat(path.string, &status) == 0 else { return nil }
    return Stamp(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      modified: (status.st_mtim.tv_sec, status.st_mtim.tv_nsec),
      changed: (status.st_ctim.tv_sec, status.st_ctim.tv_nsec))
  }

  /// The first 64 KiB.
  private func text() -> String {
    guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return "" }
    defer { try? file.close() }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = (try? unsafe buffer.withUnsafeMutableBytes { try unsafe file.read(into: $0) }) ?? 0
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
