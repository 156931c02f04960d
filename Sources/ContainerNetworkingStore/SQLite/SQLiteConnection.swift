import CSQLite
import NetworkPrimitives
import SystemPackage

/// A connection to a database file. For one thread at a time: its owner ensures that.
///
/// Unsafe code: SQLite's handle is opened in `init`, is only passed to `SQLiteStatement`, and is closed by
/// `sqlite3_close_v2`, which waits for the last statement.
@safe struct SQLiteConnection: ~Copyable {
  /// The database file.
  let file: FilePath
  private let handle: OpaquePointer
  private var statements: [String: SQLiteStatement] = [:]

  /// Opens an existing file.
  ///
  /// - Parameter patience: The maximum wait for another's transaction, milliseconds.
  init(_ file: FilePath, patience: Int32 = 10_000)
    throws(NetworkError)
  {
    self.file = file
    var opened: OpaquePointer?
    // SQLite's own mutex is off: the store has one around it.
    let result = unsafe sqlite3_open_v2(
      file.string, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard result == SQLITE_OK, let opened = unsafe opened else {
      let failure = SQLiteFailure(
        code: result, message: unsafe String(cString: sqlite3_errstr(result)),
        systemError: unsafe opened.map { unsafe sqlite3_system_errno($0) } ?? 0, statement: "open")
      unsafe sqlite3_close_v2(opened)
      throw failure.error(file)
    }
    unsafe handle = opened
    unsafe sqlite3_busy_timeout(opened, patience)
  }

  deinit { unsafe sqlite3_close_v2(handle) }

  /// Runs statements without result rows, unprepared: for one-time use.
  func execute(_ sql: String) throws(NetworkError) {
    let result = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw failure(result, sql).error(file) }
  }

  /// Runs a statement without result rows.
  mutating func run(_ sql: String, _ values: SQLiteValue...) throws(NetworkError) {
    try each(sql, values) { (_) throws(NetworkError) in }
  }

  /// The first column of the first row, if it is a number.
  mutating func number(_ sql: String, _ values: SQLiteValue...) throws(NetworkError) -> Int64? {
    var number: Int64?
    try each(sql, values) { (row) throws(NetworkError) in number = number ?? row.number(0) }
    return number
  }

  /// Runs a statement and passes each row to `body`, which must not run the same statement. The statement stays
  /// prepared.
  mutating func each(
    _ sql: String, _ values: [SQLiteValue] = [], _ body: (SQLiteStatement) throws(NetworkError) -> Void
  ) throws(NetworkError) {
    let statement = try prepared(sql)
    defer { statement.reset() }
    try check(statement.bind(values), sql)
    while true {
      let result = statement.step()
      if result == SQLITE_DONE { return }
      guard result == SQLITE_ROW else { throw failure(result, sql).error(file) }
      try body(statement)
    }
  }

  /// The first bytes of the file, through SQLite's own descriptor. When the process closes any other descriptor of the
  /// file, the kernel releases its connections' locks (fcntl(2)). A process that ends would then take itself for the
  /// last user and delete the journal of the others.
  func header(_ count: Int) throws(NetworkError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var size: sqlite3_int64 = 0
    let result = unsafe bytes.withUnsafeMutableBytes { buffer -> CInt in
      var pointer: UnsafeMutablePointer<sqlite3_file>?
      let found = unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &pointer)
      guard found == SQLITE_OK, let file = unsafe pointer, let methods = unsafe file.pointee.pMethods else {
        return found == SQLITE_OK ? SQLITE_MISUSE : found
      }
      let sized = unsafe methods.pointee.xFileSize(file, &size)
      guard sized == SQLITE_OK else { return sized }
      let read = unsafe methods.pointee.xRead(file, buffer.baseAddress, CInt(count), 0)
      // A shorter file is padded with zeros.
      return read == Self.shortRead ? SQLITE_OK : read
    }
    guard result == SQLITE_OK else { throw failure(result, "read the header").error(file) }
    return Array(bytes.prefix(Int(size)))
  }

  /// `SQLITE_IOERR_SHORT_READ`, a macro that Swift does not import.
  private static var shortRead: CInt { SQLITE_IOERR | (2 << 8) }

  /// Whether a transaction is open.
  var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  private mutating func prepared(_ sql: String) throws(NetworkError) -> SQLiteStatement {
    if let statement = statements[sql] { return statement }
    var handle: OpaquePointer?
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    try check(unsafe sqlite3_prepare_v3(self.handle, sql, -1, flags, &handle, nil), sql)
    guard let handle = unsafe handle else { throw failure(SQLITE_MISUSE, sql).error(file) }
    let statement = unsafe SQLiteStatement(handle)
    statements[sql] = statement
    return statement
  }

  private func check(_ result: CInt, _ sql: String) throws(NetworkError) {
    guard result == SQLITE_OK else { throw failure(result, sql).error(file) }
  }

  private func failure(_ result: CInt, _ sql: String) -> SQLiteFailure {
    SQLiteFailure(
      code: result, message: unsafe String(cString: sqlite3_errmsg(handle)),
      systemError: unsafe sqlite3_system_errno(handle), statement: sql)
  }
}
