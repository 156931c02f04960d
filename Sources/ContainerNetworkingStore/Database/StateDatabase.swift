import ContainerNetworking
import NetworkPrimitives
import SystemPackage

/// The records, events and revisions of a store in its database file.
struct StateDatabase: ~Copyable {
  private var connection: SQLiteConnection
  private let schema: Schema
  private let coder = RecordCoder()
  private var durability: StoreDurability?

  /// The number of remembered removals, for reads since a revision.
  static let removalLimit: Int64 = 10_000
  /// The number of kept events.
  static let eventLimit: Int64 = 1_000

  /// Opens the database, and creates or migrates it on demand. The caller holds the opening lock: with several at once,
  /// some would find the database locked, however long they wait.
  static func open(_ directory: StateDirectory, _ schema: Schema) throws(NetworkError) -> StateDatabase {
    if !Files.exists(directory.database) { try make(directory.database, schema) }
    var connection = try SQLiteConnection(directory.database)
    try Schema.checkHeader(connection)
    try schema.check(&connection)
    try connection.execute("PRAGMA journal_mode = WAL")
    try schema.migrate(&connection)
    var database = StateDatabase(connection, schema)
    _ = try database.revision()
    try database.checkOnceInBoot()
    return database
  }

  private init(_ connection: consuming SQLiteConnection, _ schema: Schema) {
    self.connection = connection
    self.schema = schema
  }

  /// Creates the file under another name and renames it when it is complete, so that no crash leaves half of one. An
  /// older file, and its companions, are then called `kept`.
  static func make(
    _ file: FilePath, _ schema: Schema, keeping kept: FilePath? = nil,
    filledBy fill: (inout StateDatabase) throws(NetworkError) -> Void = { _ in }
  ) throws(NetworkError) {
    let draft = Files.with(".new", file)
    try remove(draft)
    do {
      // Without a journal, which would outlive it.
      try Files.create(draft)
      var connection = try SQLiteConnection(draft)
      try schema.migrate(&connection)
      var database = StateDatabase(connection, schema)
      try fill(&database)
    }
    try Files.synchronize(draft)
    // The old file keeps both names until the new one replaces the first: a database exists at every moment.
    if let kept { try Files.link(file, as: kept) }
    // A journal without its database would be taken for the new one's.
    for suffix in companions where Files.exists(Files.with(suffix, file)) {
      if let kept {
        try Files.rename(Files.with(suffix, file), to: Files.with(suffix, kept))
      } else {
        try Files.remove(Files.with(suffix, file))
      }
    }
    try Files.rename(draft, to: file)
    try Files.synchronize(file.removingLastComponent())
  }

  /// The suffixes of SQLite's companion files.
  static let companions = ["-wal", "-shm", "-journal"]

  /// Removes a database and its companions.
  static func remove(_ file: FilePath) throws(NetworkError) {
    for suffix in [""] + companions { try Files.remove(Files.with(suffix, file)) }
  }

  /// Checks the whole file at the first open after each boot: a process's end cannot damage the file, a power cut can.
  private mutating func checkOnceInBoot() throws(NetworkError) {
    let boot = try Files.read("/proc/sys/kernel/random/boot_id", atMost: 64)
    let id = String(decoding: boot, as: UTF8.self).filter { !$0.isNewline }
    var isKnown = false
    try connection.each("SELECT 1 FROM meta WHERE key = 'checked_in_boot' AND value = ?", [.text(id)]) { _ in
      isKnown = true
    }
    if isKnown { return }
    var faults: [String] = []
    try connection.each("PRAGMA quick_check(3)") { row in faults.append(row.text(0)) }
    guard faults == ["ok"] else { throw Damage.error(connection.file, faults.joined(separator: ", ")) }
    try connection.run("UPDATE meta SET value = ? WHERE key = 'checked_in_boot'", .text(id))
  }

  // MARK: - Reading

  /// The number of updates.
  mutating func revision() throws(NetworkError) -> UInt64 { try meta("revision") }

  /// SQLite's current settings.
  mutating func settings() throws(NetworkError) -> (journal: String, synchronous: Int64) {
    var journal = ""
    try connection.each("PRAGMA journal_mode") { row in journal = row.text(0) }
    return (journal, try connection.number("PRAGMA synchronous") ?? -1)
  }

  private mutating func meta(_ key: String) throws(NetworkError) -> UInt64 {
    let number = try connection.number("SELECT value FROM meta WHERE key = ?", .text(key))
    guard let count = Self.count(number) else {
      throw Damage.error(connection.file, "the row \"\(key)\" of the table meta is missing or no count")
    }
    return count
  }

  /// Converts a counter; nil for a value that only damage explains.
  static func count(_ number: Int64?) -> UInt64? {
    guard let number, number >= 0, number < 1 << 62 else { return nil }
    return UInt64(number)
  }

  /// The changes since a revision.
  mutating func read(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    if try self.revision() == revision { return StoreDelta(isComplete: false, changes: [], revision: revision) }
    try connection.run("BEGIN")
    defer { rollBack() }
    return try delta(since: revision)
  }

  /// The unsettled records; empty if nothing changed since a revision.
  mutating func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    if try self.revision() == revision { return StoreDelta(isComplete: false, changes: [], revision: revision) }
    try connection.run("BEGIN")
    defer { rollBack() }
    let current = try self.revision()
    try schema.check(&connection)
    let changes = try changes("SELECT kind, id, value FROM records WHERE unsettled = 1")
    return StoreDelta(isComplete: true, changes: changes, revision: current)
  }

  /// The same, within a transaction.
  private mutating func delta(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    let current = try self.revision()
    if current == revision { return StoreDelta(isComplete: false, changes: [], revision: revision) }
    try schema.check(&connection)
    let known = try max(1, meta("removals_known_since"))
    let isComplete = revision > current || revision < known
    // Within one update, removals precede saves: a record that was removed and saved again exists.
    let sql =
      isComplete
      ? "SELECT kind, id, value FROM records ORDER BY rowid"
      : """
      SELECT kind, id, NULL, revision AS revision, 0 AS step FROM removed WHERE revision > ?1
      UNION ALL SELECT kind, id, value, revision, 1 FROM records WHERE revision > ?1 ORDER BY revision, step
      """
    let changes = try changes(sql, isComplete ? [] : [.number(Int64(revision))])
    return StoreDelta(isComplete: isComplete, changes: changes, revision: current)
  }

  /// Reads rows of kind, id and value; a removal has no value.
  private mutating func changes(_ sql: String, _ values: [SQLiteValue] = []) throws(NetworkError) -> [StoreChange] {
    var changes: [StoreChange] = []
    let file = connection.file
    let coder = coder
    try connection.each(sql, values) { (row) throws(NetworkError) in
      let key = try RecordCoder.key(kind: row.text(0), id: row.text(1), file)
      changes.append(row.isNull(2) ? .remove(key) : .save(try coder.record(key, row, 2, file)))
    }
    return changes
  }

  /// The events after a number.
  mutating func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    var events: [(number: UInt64, event: NetworkEvent)] = []
    let file = connection.file
    let coder = coder
    try connection.each(
      "SELECT number, value FROM events WHERE number > ? ORDER BY number", [.number(Int64(clamping: number))]
    ) {
      (row) throws(NetworkError) in
      let number = row.number(0) ?? 0
      events.append((UInt64(clamping: number), try coder.event(number, row.text(1), file)))
    }
    return events
  }

  // MARK: - Writing

  /// Begins an update and returns the changes since a revision. The caller ends it with ``commit(_:over:)`` or
  /// ``rollBack()``.
  mutating func begin(since revision: UInt64, _ durability: StoreDurability) throws(NetworkError) -> StoreDelta {
    try demand(durability)
    try connection.run("BEGIN IMMEDIATE")
    do { return try delta(since: revision) } catch {
      rollBack()
      throw error
    }
  }

  /// Commits an update and returns the revision that includes it.
  mutating func commit(_ changes: [StoreChange], over revision: UInt64) throws(NetworkError) -> UInt64 {
    do {
      if !changes.isEmpty { try write(changes, revision + 1) }
      try connection.run("COMMIT")
      return changes.isEmpty ? revision : revision + 1
    } catch {
      rollBack()
      throw error
    }
  }

  /// Rolls an update back. A full disk or a damaged page may have done it already.
  mutating func rollBack() {
    if connection.isInTransaction { try? connection.run("ROLLBACK") }
  }

  /// Sets the synchronisation of the next commit; SQLite ignores it within a transaction.
  private mutating func demand(_ durability: StoreDurability) throws(NetworkError) {
    guard self.durability != durability else { return }
    switch durability {
    case .process: try connection.execute("PRAGMA synchronous = NORMAL")
    case .power: try connection.execute("PRAGMA synchronous = FULL")
    }
    self.durability = durability
  }

  private mutating func write(_ changes: [StoreChange], _ revision: UInt64) throws(NetworkError) {
    try schema.check(&connection)
    let number = SQLiteValue.number(Int64(revision))
    for change in changes {
      switch change {
      case .save(let record):
        try connection.run(
          """
          INSERT INTO records (kind, id, revision, value, unsettled) VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, id)
          DO UPDATE SET revision = excluded.revision, value = excluded.value, unsettled = excluded.unsettled
          """, .text(record.key.kind.rawValue), .text(record.key.id), number, .text(coder.text(record)),
          .number(record.isUnsettled ? 1 : 0))
      case .remove(let key):
        let (kind, id) = (SQLiteValue.text(key.kind.rawValue), SQLiteValue.text(key.id))
        try connection.run("DELETE FROM records WHERE kind = ? AND id = ?", kind, id)
        try connection.run("INSERT INTO removed (revision, kind, id) VALUES (?, ?, ?)", number, kind, id)
      case .event(let event):
        try connection.run("INSERT INTO events (value) VALUES (?)", .text(coder.text(event)))
      }
    }
    try connection.run("UPDATE meta SET value = ? WHERE key = 'revision'", number)
    if changes.contains(where: { if case .remove = $0 { true } else { false } }) { try forgetOldRemovals() }
    if changes.contains(where: { if case .event = $0 { true } else { false } }) {
      try connection.run("DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - \(Self.eventLimit)")
    }
  }

  private mutating func forgetOldRemovals() throws(NetworkError) {
    let last = try connection.number("SELECT max(number) FROM removed") ?? 0
    let oldest = SQLiteValue.number(last - Self.removalLimit)
    guard let known = try connection.number("SELECT max(revision) FROM removed WHERE number <= ?", oldest) else {
      return
    }
    try connection.run("DELETE FROM removed WHERE number <= ?", oldest)
    try connection.run("UPDATE meta SET value = ? WHERE key = 'removals_known_since'", .number(known))
  }

  // MARK: - Recovery

  /// Adds the records saved from another file, with their numbers there.
  mutating func fill(_ salvage: Salvage) throws(NetworkError) {
    try connection.run("BEGIN IMMEDIATE")
    defer { rollBack() }
    try write(salvage.records.map { .save($0) }, salvage.revision + 1)
    for (number, event) in salvage.events {
      try connection.run(
        "INSERT INTO events (number, value) VALUES (?, ?)", .number(Int64(number)), .text(coder.text(event)))
    }
    // Copies of the old file in memory are invalid now.
    try connection.run(
      "UPDATE meta SET value = ? WHERE key = 'removals_known_since'", .number(Int64(salvage.revision + 1)))
    try connection.run("COMMIT")
  }
}
