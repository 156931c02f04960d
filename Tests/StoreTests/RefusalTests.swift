import ContainerNetworking
import NetworkPrimitives
import StoreSamples
import SystemPackage
import Testing

@testable import ContainerNetworkingStore

/// Files that are not opened, and disks that take nothing.
@Suite struct RefusalTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func open() -> NetworkError? { refusal { () throws(NetworkError) in _ = try SQLiteStore(at: directory.store) } }

  @Test(arguments: [
    "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')", "PRAGMA application_id = 7; CREATE TABLE t (a)",
  ])
  func refusesTheDatabaseOfAnotherAndLeavesItAsItIs(sql: String) throws {
    try StateDirectory(path: directory.store).make()
    try Database(directory.database).run("PRAGMA journal_mode = WAL; " + sql)
    let before = try Bytes.read(directory.database)
    let error = try #require(open())
    #expect(error.code == .refused)
    #expect(error.description.contains(directory.database.string))
    #expect(try Bytes.read(directory.database) == before)
    #expect(try directory.names() == ["host.lock", "open.lock", "owners", "state.db"])
    let second = refusal { () throws(NetworkError) in try SQLiteStore.recover(at: directory.store) }
    #expect(second?.code == .refused)
    #expect(try Bytes.read(directory.database) == before)
    #expect(try directory.names() == ["host.lock", "open.lock", "owners", "state.db"])
  }

  @Test func refusesANewerSchemaAndNamesBoth() throws {
    let newer = Schema(migrations: Schema.current.migrations + ["CREATE TABLE future (a)"])
    let store = try SQLiteStore(StateDirectory(path: directory.store), schema: newer)
    let endpoint = try Samples.endpoint(1)
    try store.write(.save(.endpoint(endpoint)))
    let error = try #require(open())
    #expect(error.code == .unsupported)
    #expect(error.reason.contains("version \(newer.version)"))
    #expect(error.reason.contains("version \(Schema.current.version)"))
    #expect(try store.records() == [.endpoint(endpoint)])
  }

  @Test func bringsAnOlderFileUpToDate() throws {
    let endpoint = try Samples.endpoint(1)
    let older = try SQLiteStore(at: directory.store)
    try older.write(.save(.endpoint(endpoint)))
    let newer = Schema(
      migrations: Schema.current.migrations + ["CREATE TABLE future (a)", "INSERT INTO future VALUES (5)"])
    let store = try SQLiteStore(StateDirectory(path: directory.store), schema: newer)
    #expect(try store.records() == [.endpoint(endpoint)])
    #expect(try Database(directory.database).number("SELECT a FROM future") == 5)
    #expect(try Database(directory.database).number("PRAGMA user_version") == Int(Schema.current.version) + 2)
    // A user with the older schema open is refused there.
    let error = refusal { () throws(NetworkError) in try older.write(.save(.endpoint(endpoint))) }
    #expect(error?.code == .unsupported)
  }

  /// The first schema had no column for unsettled records.
  @Test func findsWhatIsUnsettledInAFileOfTheFirstSchema() throws {
    let (ready, begun, stopped) = try (
      Samples.endpoint(1), Samples.endpoint(2, phase: .creating), Samples.endpoint(3, phase: .stopped)
    )
    var publishing = try Samples.endpoint(4)
    publishing.portChange = try Samples.portChange()
    let network = try Samples.network("blue")
    var (kept, web, gone) = try (Samples.sandbox("~0123456789ab"), Samples.sandbox("web"), Samples.sandbox("gone"))
    kept.phase = .ready
    web.phase = .ready
    gone.phase = .removing
    let records: [StoreRecord] = [
      .endpoint(ready), .endpoint(begun), .endpoint(stopped), .endpoint(publishing), .network(network),
      .sandbox(kept), .sandbox(web), .sandbox(gone),
    ]
    try StateDirectory(path: directory.store).make()
    let coder = RecordCoder()
    do {
      let older = Database(directory.database)
      try older.run(Schema.current.migrations[0])
      try older.run("PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = 1")
      for record in records {
        let value = try coder.text(record).replacing("'", with: "''")
        try older.run("INSERT INTO records VALUES ('\(record.key.kind.rawValue)', '\(record.key.id)', 1, '\(value)')")
      }
      // No JSON: it is found when the store is opened.
      try older.run("INSERT INTO records VALUES ('endpoint', 'odd', 1, '{')")
    }
    let store = try SQLiteStore(at: directory.store)
    #expect(refusal { () throws(NetworkError) in _ = try store.readUnsettled(since: 0) }?.code == .damagedRecord)
    try Database(directory.database).run("DELETE FROM records WHERE id = 'odd'")
    #expect(try store.records() == Set(records))
    let unsettled = records.filter(\.isUnsettled)
    #expect(unsettled.count == 5)
    #expect(try Set(store.readUnsettled(since: 0).changes) == Set(unsettled.map { .save($0) }))
    let count = try Database(directory.database).number("SELECT count(*) FROM records WHERE unsettled = 1")
    #expect(count == 5)
  }

  @Test func aMigrationThatFailsLeavesTheOlderFile() throws {
    do { _ = try SQLiteStore(at: directory.store) }
    let broken = Schema(migrations: Schema.current.migrations + ["CREATE TABLE future (a)", "CREATE TABLE future (a)"])
    let error = refusal { () throws(NetworkError) in
      _ = try SQLiteStore(StateDirectory(path: directory.store), schema: broken)
    }
    #expect(error?.reason.contains("table future already exists") == true)
    #expect(error?.reason.contains("CREATE TABLE future (a)") == true)
    #expect(open() == nil)
    #expect(try Database(directory.database).number("SELECT count(*) FROM sqlite_schema WHERE name = 'future'") == 0)
  }

  @Test func makesWhatIsMissingOfTheWay() throws {
    let path = directory.path.appending("none/state")
    do { _ = try SQLiteStore(at: path) }
    do { _ = try SQLiteStore(at: path) }
    let file = path.appending("state.db")
    let error = refusal { () throws(NetworkError) in _ = try SQLiteStore(at: file.appending("state")) }
    #expect(error?.reason == "\(file) is no directory; name another path")
  }

  @Test func saysThatADirectoryIsReadOnly() throws {
    do { try SQLiteStore(at: directory.store).write() }
    let (output, status) = try runIsolated(
      """
      mount --bind \(directory.path) \(directory.path) && mount -o remount,ro,bind \(directory.path) && \
      echo | \(try Probe.path) open \(directory.store)
      """)
    #expect(status == 1)
    #expect(output.contains("Read-only file system"), "\(output)")
    #expect(output.contains(directory.store.string))
    #expect(open() == nil)
  }

  @Test func saysThatItMayNotWrite() throws {
    do { try SQLiteStore(at: directory.store).write() }
    let (output, status) = try runIsolated(
      "chmod 755 \(directory.path); setpriv --reuid 65534 --clear-groups \(try Probe.path) hold \(directory.store)")
    #expect(status == 1)
    #expect(output.hasPrefix("error permissionDenied"), "\(output)")
    #expect(output.contains(directory.store.string))
  }

  @Test func aFullDiskSavesNothingAndLosesNothing() throws {
    let told = directory.path.appending("told")
    let (output, status) = try runIsolated(
      """
      mount -t tmpfs -o size=1m none /mnt || exit 99
      \(try Probe.path) write /mnt/state 10000 >\(told); status=$?
      cp -r /mnt/state \(directory.store) || exit 99
      exit $status
      """)
    #expect(status == 1, "\(output)")
    let lines = String(decoding: try Bytes.read(told), as: UTF8.self).split(separator: "\n")
    let failure = try #require(lines.firstIndex { $0.hasPrefix("error") })
    #expect(failure > 50)
    #expect(lines[failure].hasPrefix("error kernelRefused"), "\(lines[failure])")
    #expect(lines[failure].contains("No space left on device"), "\(lines[failure])")
    let store = try SQLiteStore(at: directory.store)
    #expect(try store.records().count == failure)
    try store.write(.event(NetworkEvent(.prune)))
  }
}
