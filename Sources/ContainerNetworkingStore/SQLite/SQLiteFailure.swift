import CSQLite
import Netlink
import NetworkPrimitives
import SystemPackage

/// A refusal by SQLite: its extended result code (https://sqlite.org/rescode.html), its sentence, the underlying
/// `errno`, and the statement.
struct SQLiteFailure {
  var code: CInt
  var message: String
  var systemError: CInt
  var statement: String

  /// Converts it to the callers' error.
  func error(_ file: FilePath) -> NetworkError {
    let primary = code & 0xff
    let sentence = "SQLite says \"\(message)\" (\(code)) at: \(statement)"
    switch primary {
    // SQLITE_ERROR: the statements are correct, so the schema is not.
    case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT, SQLITE_ERROR: return Damage.error(file, sentence)
    case SQLITE_BUSY, SQLITE_LOCKED:
      return error(.inUse, file, sentence + "; another process holds the database: fuser(1) names it")
    case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH:
      return error(
        .permissionDenied, file,
        "\(file) or its directory cannot be written: mount it for writing, or run as its owner; " + sentence)
    case SQLITE_FULL:
      // SQLite keeps ENOSPC to itself.
      return error(.kernelRefused, file, FileFault.reason(.noSpace, file) + "; " + sentence, Errno.noSpace)
    default:
      guard systemError > 0 else { return error(.kernelRefused, file, sentence) }
      let errno = Errno(rawValue: systemError)
      let reason = [FileFault.reason(errno, file), sentence].filter { !$0.isEmpty }.joined(separator: "; ")
      return error(errno == .noSpace ? .kernelRefused : NetworkError.Code(errno), file, reason, errno)
    }
  }

  private func error(
    _ code: NetworkError.Code, _ file: FilePath, _ reason: String, _ errno: Errno? = nil
  ) -> NetworkError {
    NetworkError(
      code, operation: "use the store \(file)", reason: reason,
      kernel: errno.map { KernelReport(errno: $0, request: statement, message: message) })
  }
}

/// An unreadable part of a store's file.
enum Damage {
  /// An error with the file, the damaged part, and the remedy.
  static func error(_ file: FilePath, _ what: String) -> NetworkError {
    NetworkError(
      .damagedRecord, operation: "read the store \(file)",
      reason: what + "; SQLiteStore.recover(at: \"\(file.removingLastComponent())\") saves what can be read into a new "
        + "file and keeps this one")
  }
}
