public import Netlink
import NetworkPrimitives
public import SystemPackage

/// The files of a container that a runtime binds to `/etc/resolv.conf`, `/etc/hosts` and `/etc/hostname` in it. They
/// are rewritten in place when the container connects to networks and disconnects, so that the bound files stay
/// current. An edited file is left as it is.
public struct SandboxFiles: Hashable, Sendable {
  /// The directory that they are in.
  public let directory: FilePath
  /// resolv.conf(5): the name servers that it asks.
  public var resolvConf: FilePath { directory.appending("resolv.conf") }
  /// hosts(5): its own addresses, and the extra hosts.
  public var hosts: FilePath { directory.appending("hosts") }
  /// hostname(5).
  public var hostname: FilePath { directory.appending("hostname") }

  /// All of them, each with its path in the container.
  public var bindings: [FileBinding] {
    [
      FileBinding(resolvConf, at: "/etc/resolv.conf"), FileBinding(hosts, at: "/etc/hosts"),
      FileBinding(hostname, at: "/etc/hostname"),
    ]
  }
}

/// Writes the files.
///
/// A copy of the last written text is kept in `.written`: a file that differs from it was edited. A file is rewritten
/// in place, because a bind mount refers to the inode. The new text is first stored beside the copy, so that a file
/// which a crash left half-written (new text followed by old) is still recognized as ours.
struct ContainerFiles {
  let directory: FilePath
  private static let names = ["resolv.conf", "hosts", "hostname"]

  private var written: FilePath { directory.appending(".written") }

  /// Creates the directory and its files; nothing reads it before that is done.
  func create(_ texts: ContainerFileTexts) throws(NetworkError) {
    try Directories.make(directory)
    try Directories.make(written)
    for (name, text) in zip(Self.names, texts.all) {
      try TextFiles.write(text, to: written.appending(name))
      try TextFiles.write(text, to: directory.appending(name))
    }
  }

  /// Runs `body` under a lock of these files against other processes and threads.
  func exclusively<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    let lock = try Directories.lock(directory)
    defer { try? lock.close() }
    return try body()
  }

  /// Whether resolv.conf, as last written, lists one of these servers.
  func asks(_ servers: Set<IPAddress>) throws(NetworkError) -> Bool {
    guard let known = try TextFiles.read(written.appending("resolv.conf")) else { return false }
    return ResolverConfiguration(parsing: String(decoding: known, as: UTF8.self)).servers.contains { text in
      (try? IPAddress(text)).map(servers.contains) ?? false
    }
  }

  /// Rewrites outdated files that are still ours, and creates missing ones.
  func update(_ texts: ContainerFileTexts) throws(NetworkError) {
    try Directories.make(written)
    for (name, text) in zip(Self.names, texts.all) { try update(name, text) }
  }

  private func update(_ name: String, _ text: String) throws(NetworkError) {
    let (file, known, next) = (directory.appending(name), written.appending(name), written.appending("\(name).next"))
    let present = try TextFiles.read(file)
    let pending = try TextFiles.read(next)
    if let present {
      let old = try TextFiles.read(known)
      if pending == nil, present == old, present == Array(text.utf8) { return }
      guard Self.isOurs(present, written: old, pending: pending) else { return }
    }
    try TextFiles.write(text, to: next)
    if present != nil {
      try TextFiles.rewrite(file, text)
    } else {
      let made = written.appending("\(name).new")
      try TextFiles.write(text, to: made)
      try TextFiles.rename(made, to: file)
    }
    try TextFiles.rename(next, to: known)
  }

  /// Whether a file is as written, or as an interrupted write left it: new text followed by old.
  static func isOurs(_ present: [UInt8], written: [UInt8]?, pending: [UInt8]?) -> Bool {
    if present == written || present == pending { return true }
    guard let pending else { return false }
    let count = zip(present, pending).prefix { $0 == $1 }.count
    return present.dropFirst(count).elementsEqual((written ?? []).dropFirst(count))
  }

  /// The missing files.
  func missing() throws(NetworkError) -> [String] {
    var missing: [String] = []
    for name in Self.names where try TextFiles.read(directory.appending(name)) == nil { missing.append(name) }
    return missing
  }

  /// Removes the directory and its files; a missing directory is no failure.
  func remove() throws(NetworkError) { try Directories.removeTree(directory) }
}
