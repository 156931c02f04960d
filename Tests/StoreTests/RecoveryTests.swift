import ContainerNetworking
import NetworkPrimitives
import StoreSamples
import SystemPackage
import TestSupport
import Testing

@testable import ContainerNetworkingStore

/// Damaged files: their reports, and the saved records.
@Suite struct RecoveryTests {
  let directory: TemporaryDirectory
  let network: NetworkRecord
  static let count = 200

  init() throws {
    directory = try TemporaryDirectory()
    network = try Samples.network("blue")
    let store = try SQLiteStore(at: directory.store)
    try store.write(.save(.network(network)))
    let endpoints = try (0..<Self.count).map { StoreChange.save(.endpoint(try Samples.endpoint($0))) }
    _ = try store.update(since: 0, .process) { _ in ((), endpoints) }
    for count in 0..<20 { try store.write(.event(NetworkEvent(.connect, network: "blue", container: "c\(count)"))) }
  }

  func open() -> NetworkError? {
    refusal { () throws(NetworkError) in _ = try SQLiteStore(at: directory.store).read(since: 0) }
  }

  func expectDamage(_ error: NetworkError?, _ what: String) {
    #expect(error?.code == .damagedRecord)
    let text = error?.description ?? ""
    #expect(text.contains(directory.database.string))
    #expect(text.contains(what), "\(text)")
    #expect(text.contains("SQLiteStore.recover(at: \"\(directory.store)\")"))
  }

  /// Spoils the pages of which `choose` gives the numbers.
  func spoil(_ choose: (Int) throws -> [Int]) throws {
    var bytes = try Bytes.read(directory.database)
    for page in try choose(bytes.count / 4096) {
      for index in (page * 4096)..<((page + 1) * 4096) { bytes[index] ^= 0xa5 }
    }
    try Bytes.write(bytes, to: directory.database)
  }

  func pages(of table: String, type: String) throws -> [Int] {
    try Database(directory.database).run(
      "SELECT pageno - 1 FROM dbstat WHERE name = '\(table)' AND pagetype = '\(type)' ORDER BY pageno"
    ).split(separator: "\n").compactMap { Int($0) }
  }

  @Test func aWholeFileIsRecoveredWhole() throws {
    let before = try SQLiteStore(at: directory.store).read(since: 0)
    let events = try SQLiteStore(at: directory.store).events(after: 0).map(\.event)
    let recovery = try SQLiteStore.recover(at: directory.store)
    #expect(recovery.lost.isEmpty)
    #expect(recovery.records == Self.count + 1)
    #expect(recovery.events == 20)
    #expect(Bytes.exists(recovery.damagedFile))
    let store = try SQLiteStore(at: directory.store)
    let after = try store.read(since: before.revision)
    #expect(after.isComplete, "what was known of the old file is not taken for known of the new")
    #expect(after.changes == before.changes)
    #expect(after.revision > before.revision)
    #expect(try store.events(after: 0).map(\.event) == events)
    try store.write(.event(NetworkEvent(.prune)))
    #expect(try store.events(after: 20).map(\.number) == [21])
  }

  @Test func namesARecordThatCannotBeDecodedAndSavesTheOthers() throws {
    let lost = try Samples.endpoint(7)
    try Database(directory.database).run(
      "UPDATE records SET value = '{\"id\": 5' WHERE id = '\(lost.id)'; UPDATE events SET value = '' WHERE number = 3")
    expectDamage(open(), "endpoint \"\(lost.id)\"")
    let error = refusal { () throws(NetworkError) in _ = try SQLiteStore(at: directory.store).events(after: 0) }
    expectDamage(error, "event 3")
    let recovery = try SQLiteStore.recover(at: directory.store)
    #expect(recovery.records == Self.count)
    #expect(recovery.events == 19)
    #expect(recovery.lost.count == 2)
    #expect(recovery.lost.contains { $0.contains(lost.id) })
    #expect(recovery.lost.contains { $0.contains("event 3") })
    #expect(open() == nil)
    #expect(try SQLiteStore(at: directory.store).records().contains(.endpoint(lost)) == false)
  }

  @Test func namesARowOfAnotherKeyAndOfAnUnknownKind() throws {
    let (first, second) = try (Samples.endpoint(1), Samples.endpoint(2))
    try Database(directory.database).run(
      """
      UPDATE records SET value = (SELECT value FROM records WHERE id = '\(second.id)') WHERE id = '\(first.id)';
      """)
    expectDamage(open(), "the row of the endpoint \"\(first.id)\" holds the endpoint \"\(second.id)\"")
    try Database(directory.database).run(
      "DELETE FROM records WHERE id = '\(first.id)'; INSERT INTO records VALUES ('ghost', 'x', 1, '{}', 0)")
    expectDamage(open(), "\"ghost\"")
    #expect(try SQLiteStore.recover(at: directory.store).records == Self.count)
    #expect(open() == nil)
  }

  @Test func savesWhatIsNotOnADamagedPage() throws {
    let leaves = try pages(of: "records", type: "leaf")
    try #require(leaves.count > 10)
    try spoil { _ in [leaves[3], leaves[8]] }
    expectDamage(open(), "SQLite says")
    let recovery = try SQLiteStore.recover(at: directory.store)
    // The index still has the names on those pages.
    #expect(recovery.records + recovery.lost.count == Self.count + 1)
    #expect((1...20).contains(recovery.lost.count))
    #expect(recovery.lost.allSatisfy { $0.contains("its page is damaged") })
    #expect(recovery.events == 20)
    let store = try SQLiteStore(at: directory.store)
    let kept = try store.records()
    #expect(kept.count == recovery.records)
    for index in 0..<Self.count {
      let endpoint = try Samples.endpoint(index)
      #expect(kept.contains(.endpoint(endpoint)) != recovery.lost.contains { $0.contains(endpoint.id) })
    }
    #expect(try Database(directory.database).run("PRAGMA integrity_check") == "ok")
  }

  @Test func savesTheRecordsOfAFileWhoseIndexesAreDamaged() throws {
    let spoilt =
      try pages(of: "sqlite_autoindex_records_1", type: "internal") + pages(of: "records_by_revision", type: "leaf")
    try spoil { _ in spoilt }
    let recovery = try SQLiteStore.recover(at: directory.store)
    #expect(recovery.records == Self.count + 1)
    #expect(recovery.lost == ["possibly more records: the index that names them is damaged too"])
  }

  @Test(arguments: [0, 50, 5_000, 40_000]) func survivesTruncation(length: Int) throws {
    let bytes = try Bytes.read(directory.database)
    try #require(bytes.count > 40_000)
    try Bytes.write(Array(bytes[..<length]), to: directory.database)
    expectDamage(open(), "")
    let recovery = try SQLiteStore.recover(at: directory.store)
    #expect(!recovery.lost.isEmpty)
    #expect(recovery.records < Self.count)
    #expect(open() == nil)
    #expect(try Bytes.read(recovery.damagedFile) == Array(bytes[..<length]))
    #expect(try SQLiteStore(at: directory.store).records().count == recovery.records)
  }

  @Test func whateverByteIsFlippedIsAnErrorOrHarmless() throws {
    let bytes = try Bytes.read(directory.database)
    let whole = try SQLiteStore(at: directory.store).read(since: 0).changes
    var generator = SeededGenerator()
    for _ in 0..<60 {
      var spoilt = bytes
      for _ in 0..<8 {
        spoilt[Int.random(in: 0..<bytes.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
      }
      try Bytes.write(spoilt, to: directory.database)
      guard let error = open() else { continue }
      #expect([.damagedRecord, .refused, .unsupported].contains(error.code), "\(error)")
      guard error.code == .damagedRecord else { continue }
      let recovery = try SQLiteStore.recover(at: directory.store)
      #expect(recovery.records <= whole.count)
      #expect(open() == nil)
    }
  }

  @Test func looksThroughTheFileOnceInABoot() throws {
    let spoilt = try pages(of: "events", type: "leaf") + pages(of: "records_by_revision", type: "leaf")
    try spoil { _ in [try #require(spoilt.last)] }
    // This boot has checked it, and nothing reads that page.
    #expect(open() == nil)
    try Database(directory.database).run("UPDATE meta SET value = 'another' WHERE key = 'checked_in_boot'")
    expectDamage(open(), "")
  }

  @Test func doesNotReplaceAStoreThatIsOpen() throws {
    let store = try SQLiteStore(at: directory.store)
    let error = refusal { () throws(NetworkError) in try SQLiteStore.recover(at: directory.store) }
    #expect(error?.code == .inUse)
    #expect(try store.records().count == Self.count + 1)
    #expect(try directory.names().filter { $0.contains("damaged") }.isEmpty)
  }

  @Test func savesWhatIsOnlyInTheJournal() throws {
    let probe = try Probe("write", directory.store.string, "300")
    for _ in 0..<300 { _ = probe.line() }
    let holder = try Probe("hold", directory.store.string)
    _ = holder.line()
    probe.kill()
    holder.kill()
    #expect(try directory.names().contains("state.db-wal"))
    let recovery = try SQLiteStore.recover(at: directory.store)
    #expect(recovery.records == 301)
    #expect(recovery.lost.isEmpty)
    #expect(try SQLiteStore(at: directory.store).records().count == 301)
  }

  @Test func needsAFile() throws {
    let error = refusal { () throws(NetworkError) in try SQLiteStore.recover(at: directory.path.appending("none")) }
    #expect(error?.code == .notFound)
  }
}
