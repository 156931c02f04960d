import NetworkPrimitives
import SystemPackage

/// The users of a store: a file for each, named by its token and locked while the user lives.
final class Owners: Sendable {
  /// This user's own.
  let token: String
  private let directory: FilePath
  private let own: LockFile

  /// Removes the files of dead users and registers a new one. The caller holds the opening lock, so that nobody finds
  /// the new file before it is locked.
  init(_ directory: FilePath) throws(NetworkError) {
    self.directory = directory
    for name in try Files.names(in: directory) { _ = Self.isAlive(name, in: directory) }
    token = Self.random()
    own = try LockFile(directory.appending(token))
    guard try own.tryLock() else {
      throw NetworkError(.inUse, operation: "lock \(own.path)", reason: "another process has locked the new file")
    }
  }

  deinit { try? Files.remove(own.path) }

  /// Whether a token's user is alive. The file of a dead one is removed.
  func isAlive(_ token: String) -> Bool { token == self.token || Self.isAlive(token, in: directory) }

  /// The tokens of the live users.
  static func alive(in directory: FilePath) throws(NetworkError) -> [String] {
    try Files.names(in: directory).filter { isAlive($0, in: directory) }
  }

  private static func isAlive(_ token: String, in directory: FilePath) -> Bool {
    guard isToken(token) else { return false }
    let path = directory.appending(token)
    do {
      // Only a missing file proves that the user is dead; one that cannot be opened proves nothing.
      guard let file = try LockFile.existing(path) else { return false }
      // A shared lock, so that two concurrent checks do not take each other for the owner.
      guard try file.tryLock(isShared: true) else { return true }
    } catch {
      return true
    }
    try? Files.remove(path)
    return false
  }

  /// 32 hexadecimal digits: nothing that leads outside the directory.
  private static func isToken(_ text: String) -> Bool {
    text.utf8.count == 32
      && text.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
  }

  private static func random() -> String {
    var generator = SystemRandomNumberGenerator()
    let digits = (0..<2).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
    return digits.joined()
  }
}
