import NetworkPrimitives
import SystemPackage

/// The tables of a store, and the migration of older files.
struct Schema {
  /// `PRAGMA application_id`: "CNET".
  static let applicationID: Int64 = 0x434e_4554

  /// The migrations from each version to the next, starting at 0, an empty file. `PRAGMA user_version` counts them.
  /// Entries are only ever added.
  var migrations: [String]

  /// The version after all migrations.
  var version: Int64 { Int64(migrations.count) }

  /// This library's schema.
  static let current = Schema(migrations: [
    """
    CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
      PRIMARY KEY (kind, id));
    CREATE INDEX records_by_revision ON records (revision);
    CREATE TABLE removed (number INTEGER PRIMARY KEY, revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL);
    CREATE INDEX removed_by_revision ON removed (revision);
    CREATE TABLE events (number INTEGER PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES ('revision', 1), ('removals_known_since', 0), ('checked_in_boot', '');
    """,
    // Opening a file reads the unsettled records (`StoreRecord.isUnsettled`) through an index of only those. A text
    // that is not JSON stays unsettled, so that it is found at once.
    """
    ALTER TABLE records ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 1;
    UPDATE records SET unsettled = 0 WHERE kind IN ('sandbox', 'endpoint') AND CASE WHEN json_valid(value) THEN
      json_extract(value, '$.phase') IN ('ready', 'stopped') AND json_extract(value, '$.portChange') IS NULL
      AND substr(json_extract(value, '$.container'), 1, 1) IS NOT '~' ELSE 0 END;
    CREATE INDEX records_unsettled ON records (kind, id) WHERE unsettled = 1;
    """,
  ])

  /// Migrates an open file to this version.
  ///
  /// - Throws: `.unsupported` for a newer one.
  func migrate(_ connection: inout SQLiteConnection) throws(NetworkError) {
    let found = try check(&connection)
    guard found < version else { return }
    try connection.execute("BEGIN IMMEDIATE")
    do {
      for migration in migrations[Int(found)...] { try connection.execute(migration) }
      try connection.execute("PRAGMA application_id = \(Self.applicationID); PRAGMA user_version = \(version); COMMIT")
    } catch {
      if connection.isInTransaction { try? connection.execute("ROLLBACK") }
      throw error
    }
  }

  /// The file's version.
  ///
  /// - Throws: `.unsupported` for a newer one, whose records may have an unknown meaning.
  @discardableResult
  func check(_ connection: inout SQLiteConnection) throws(NetworkError) -> Int64 {
    let found = try connection.number("PRAGMA user_version") ?? 0
    guard found > version else { return found }
    throw NetworkError(
      .unsupported, operation: "open the store \(connection.file)",
      reason:
        "its schema is version \(found), this library knows up to version \(version); use the library that made it, "
        + "or a newer one")
  }

  /// Checks an open file's header before SQLite reads the file, which could write to it.
  ///
  /// - Throws: `.refused` for another application's database, `.damagedRecord` for a file that is not a database.
  static func checkHeader(_ connection: borrowing SQLiteConnection) throws(NetworkError) {
    let file = connection.file
    // The database header, https://sqlite.org/fileformat2.html#the_database_header.
    let header = try connection.header(100)
    guard header.count == 100, header.starts(with: Array("SQLite format 3\u{0}".utf8)) else {
      throw Damage.error(file, "its first 100 bytes are not the header of an SQLite database")
    }
    let found = header[68..<72].reduce(0) { $0 << 8 | Int64($1) }
    guard found == applicationID else {
      throw NetworkError(
        .refused, operation: "open the store \(file)",
        reason: "it is a database of another application (id \(found), ours is \(applicationID)); nothing was changed; "
          + "name another directory")
    }
  }
}
