import CSQLite

/// The value for a parameter of a statement.
enum SQLiteValue {
  case number(Int64)
  case text(String)
}

/// A prepared statement and, during a step, its row.
///
/// Unsafe code: the handle is owned, and finalised with this object. Columns are copied before the next step; without a
/// row, SQLite returns NULL.
@safe final class SQLiteStatement {
  private let handle: OpaquePointer

  /// Takes over a statement.
  @unsafe init(_ handle: OpaquePointer) { unsafe self.handle = handle }

  deinit { unsafe sqlite3_finalize(handle) }

  func bind(_ values: [SQLiteValue]) -> CInt {
    for (index, value) in values.enumerated() {
      let place = CInt(index + 1)
      var result: CInt
      switch value {
      case .number(let number): result = unsafe sqlite3_bind_int64(handle, place, number)
      case .text(let text): result = bind(text, at: place)
      }
      if result != SQLITE_OK { return result }
    }
    return SQLITE_OK
  }

  private func bind(_ text: String, at place: CInt) -> CInt {
    var text = text
    return text.withUTF8 { bytes in
      unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
        unsafe cn_sqlite_bind_text(handle, place, characters.baseAddress, UInt64(characters.count))
      }
    }
  }

  func step() -> CInt { unsafe sqlite3_step(handle) }

  /// Ends the statement, and releases its locks; `step` has reported any failure.
  func reset() {
    unsafe sqlite3_reset(handle)
    unsafe sqlite3_clear_bindings(handle)
  }

  /// A column's number; nil for NULL.
  func number(_ column: CInt) -> Int64? {
    isNull(column) ? nil : unsafe sqlite3_column_int64(handle, column)
  }

  /// Whether a column is NULL.
  func isNull(_ column: CInt) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

  /// A column's text; invalid UTF-8 is replaced, which the parser then detects.
  func text(_ column: CInt) -> String {
    guard let bytes = unsafe sqlite3_column_text(handle, column) else { return "" }
    let count = unsafe Int(sqlite3_column_bytes(handle, column))
    return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  /// Appends a column's text to an array, as bytes.
  func copy(_ column: CInt, into bytes: inout [UInt8]) {
    guard let text = unsafe sqlite3_column_text(handle, column) else { return }
    let count = unsafe Int(sqlite3_column_bytes(handle, column))
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text, count: count))
  }
}
