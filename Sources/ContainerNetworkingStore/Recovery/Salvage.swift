import ContainerNetworking
import NetworkPrimitives
import SystemPackage

/// The readable contents of a damaged database file.
struct Salvage {
  var records: [StoreRecord] = []
  var events: [(number: UInt64, event: NetworkEvent)] = []
  /// The highest revision seen.
  var revision: UInt64 = 1
  /// The existing but unreadable records.
  var lost: [String] = []

  /// Reads a copy, which may be modified: SQLite replays the journal first.
  ///
  /// - Throws: `.refused` for another application's database, `.unsupported` for a newer schema.
  init(copy: FilePath, schema: Schema = .current) throws(NetworkError) {
    do throws(NetworkError) {
      var connection = try SQLiteConnection(copy)
      try Schema.checkHeader(connection)
      try schema.check(&connection)
      try readRecords(&connection, copy)
      try readEvents(&connection, copy)
      var number: Int64?
      _ = try Self.read { () throws(NetworkError) in
        number = try connection.number("SELECT value FROM meta WHERE key = 'revision'")
      }
      revision = max(revision, StateDatabase.count(number) ?? 1)
    } catch {
      try error.rethrow(unless: .damagedRecord)
      lost.append("everything: \(Self.sentence(error))")
    }
  }

  private mutating func readRecords(_ connection: inout SQLiteConnection, _ file: FilePath) throws(NetworkError) {
    let coder = RecordCoder()
    var found: Set<StoreRecord.Key> = []
    var records: [StoreRecord] = []
    var newest: UInt64 = 1
    var faults: [StoreRecord.Key: String] = [:]
    var strangers: [String] = []
    let index = try Self.index(&connection)
    let table = Rows(table: "records", columns: "kind, id, value, revision", number: "rowid", candidates: index.rows)
    _ = try table.each(&connection) { row in
      newest = max(newest, StateDatabase.count(row.number(4)) ?? 1)
      var key: StoreRecord.Key?
      do throws(NetworkError) {
        let named = try RecordCoder.key(kind: row.text(1), id: row.text(2), file)
        key = named
        let record = try coder.record(named, row, 3, file)
        if found.insert(named).inserted { records.append(record) }
      } catch {
        if let key { faults[key] = Self.sentence(error) } else { strangers.append(Self.sentence(error)) }
      }
    }
    revision = max(revision, newest)
    self.records = records
    // The index lists rows even if their page is lost.
    for key in index.keys.subtracting(found) where faults[key] == nil {
      faults[key] = "the \(key.title): its page is damaged"
    }
    lost += strangers + faults.filter { !found.contains($0.key) }.map(\.value).sorted()
    if !index.isWhole { lost.append("possibly more records: the index that names them is damaged too") }
  }

  /// The entries of the records' index, read from both ends.
  private static func index(
    _ connection: inout SQLiteConnection
  ) throws(NetworkError) -> (keys: Set<StoreRecord.Key>, rows: Set<Int64>, isWhole: Bool) {
    var keys: Set<StoreRecord.Key> = []
    var rows: Set<Int64> = []
    var isWhole = true
    for order in ["ASC", "DESC"] {
      let sql =
        "SELECT kind, id, rowid FROM records INDEXED BY sqlite_autoindex_records_1 ORDER BY kind \(order), id \(order)"
      let result: Void? = try read { () throws(NetworkError) in
        try connection.each(sql) { (row) throws(NetworkError) in
          rows.insert(row.number(2) ?? 0)
          if let kind = StoreRecord.Key.Kind(rawValue: row.text(0)) { keys.insert(StoreRecord.Key(kind, row.text(1))) }
        }
      }
      if result == nil { isWhole = false }
    }
    return (keys, rows, isWhole)
  }

  private mutating func readEvents(_ connection: inout SQLiteConnection, _ file: FilePath) throws(NetworkError) {
    let coder = RecordCoder()
    var events: [UInt64: NetworkEvent] = [:]
    var faults: [String] = []
    let isWhole = try Rows(table: "events", columns: "value", number: "number").each(&connection) { row in
      guard let number = StateDatabase.count(row.number(0)) else { return }
      do throws(NetworkError) { events[number] = try coder.event(Int64(number), row.text(1), file) } catch {
        faults.append(Self.sentence(error))
      }
    }
    self.events = events.map { (number: $0.key, event: $0.value) }.sorted { $0.number < $1.number }
    lost += faults
    if !isWhole { lost.append("possibly events: some of their pages are damaged") }
  }

  /// The fault, without its remedy.
  private static func sentence(_ error: NetworkError) -> String {
    String(error.reason.split(separator: "; SQLiteStore.recover", maxSplits: 1).first ?? "")
  }

  /// Returns the result of `body`; nil if damage prevents it.
  fileprivate static func read<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value? {
    do { return try body() } catch {
      try error.rethrow(unless: .damagedRecord)
      return nil
    }
  }
}

/// Reads the rows of a table with damaged pages: from both ends and, between the first and the last damage, one by one.
private struct Rows {
  var table: String
  var columns: String
  /// The column of their integer key.
  var number: String
  /// Row numbers to try in damaged ranges, beside those next to found rows.
  var candidates: Set<Int64> = []

  /// Calls `body` with each readable row, once or more, its number before its columns. Returns whether the table is
  /// undamaged.
  func each(
    _ connection: inout SQLiteConnection, _ body: (SQLiteStatement) -> Void
  ) throws(NetworkError) -> Bool {
    let select = "SELECT \(number), \(columns) FROM \(table)"
    var first: Int64 = .min
    let whole: Void? = try Salvage.read { () throws(NetworkError) in
      try connection.each("\(select) ORDER BY \(number)") { row in
        first = row.number(0) ?? first
        body(row)
      }
    }
    if whole != nil { return true }
    var last: Int64 = .max
    _ = try Salvage.read { () throws(NetworkError) in
      try connection.each("\(select) ORDER BY \(number) DESC") { row in
        last = row.number(0) ?? last
        body(row)
      }
    }
    // Without a readable end, numbers start at 1 and increase by 1. In a wide gap, only the edges are tried.
    let start = first == .min ? 1 : first
    let end = last == .max ? start.advanced(clampedBy: 2 * Self.reach) : last
    guard start <= end else { return false }
    let (left, right) = (
      min(end, start.advanced(clampedBy: Self.reach)), max(start, end.advanced(clampedBy: -Self.reach))
    )
    var missing = candidates.filter { (start...end).contains($0) }
    for gap in left < right ? [start...left, right...end] : [start...end] { missing.formUnion(gap) }
    for candidate in missing.sorted() {
      _ = try Salvage.read { () throws(NetworkError) in
        try connection.each("\(select) WHERE \(number) = ?", [.number(candidate)]) { row in body(row) }
      }
    }
    return false
  }

  private static let reach: Int64 = 1_000
}

extension Int64 {
  fileprivate func advanced(clampedBy distance: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(distance)
    return overflow ? (distance < 0 ? .min : .max) : sum
  }
}
