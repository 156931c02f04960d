import ContainerNetworking
import ContainerNetworkingStore
import NetworkPrimitives
import StoreSamples
import Testing

/// One user's view of another's changes in a directory.
@Suite struct DeltaTests {
  let directory: TemporaryDirectory
  let ours: SQLiteStore
  let theirs: SQLiteStore

  init() throws {
    directory = try TemporaryDirectory()
    ours = try SQLiteStore(at: directory.store)
    theirs = try SQLiteStore(at: directory.store)
  }

  @Test func givesOnlyTheDifference() throws {
    let (first, second, third) = try (Samples.endpoint(1), Samples.endpoint(2), Samples.endpoint(3))
    let host = try Samples.host(1)
    let known = try ours.write(.save(.endpoint(first)), .save(.endpoint(second)), .save(.host(host)))
    let changed = try Samples.endpoint(2, phase: .removing)
    try theirs.write(.save(.endpoint(changed)))
    try theirs.write(.remove(StoreRecord.endpoint(first).key), .save(.endpoint(third)))
    let delta = try ours.read(since: known)
    #expect(!delta.isComplete)
    #expect(
      delta.changes == [
        .save(.endpoint(changed)), .remove(StoreRecord.endpoint(first).key), .save(.endpoint(third)),
      ])
    #expect(delta.revision == known + 2)
    let (inUpdate, revision) = try ours.update(since: known, .process) { delta in (delta.changes, []) }
    #expect(inUpdate == delta.changes)
    #expect(revision == delta.revision)
    #expect(try theirs.read(since: known).changes == delta.changes)
  }

  @Test func whatWasRemovedAndSavedAgainIsThere() throws {
    let endpoint = try Samples.endpoint(1)
    let key = StoreRecord.endpoint(endpoint).key
    let known = try ours.write(.save(.endpoint(endpoint)))
    try theirs.write(.remove(key))
    try theirs.write(.save(.endpoint(endpoint)))
    #expect(try ours.read(since: known).changes == [.remove(key), .save(.endpoint(endpoint))])
    let second = try theirs.write(.remove(key), .save(.endpoint(endpoint)))
    #expect(try ours.read(since: second - 1).changes == [.remove(key), .save(.endpoint(endpoint))])
    try theirs.write(.save(.endpoint(endpoint)), .remove(key))
    #expect(try ours.read(since: second).changes == [.remove(key)])
    #expect(try ours.records().isEmpty)
  }

  @Test func ofAManyTimesChangedRecordGivesTheLast() throws {
    let known = try ours.read(since: 0).revision
    for count in 1...20 {
      let host = try Samples.host(count)
      try theirs.write(.save(.host(host)))
    }
    let last = try Samples.host(20)
    let delta = try ours.read(since: known)
    #expect(delta.changes == [.save(.host(last))])
    #expect(delta.revision == known + 20)
  }

  @Test func anUncommittedUpdateIsSeenByNobody() throws {
    let known = try ours.read(since: 0).revision
    let endpoint = try Samples.endpoint(1)
    let (during, _) = try ours.update(since: known, .process) { (_) throws(NetworkError) in
      (try theirs.read(since: known), [.save(.endpoint(endpoint))])
    }
    #expect(during.changes.isEmpty)
    #expect(try theirs.read(since: known).changes == [.save(.endpoint(endpoint))])
  }

  @Test func remembersABoundedNumberOfRemovals() throws {
    let known = try ours.read(since: 0).revision
    let keys = (0..<6_000).map { StoreChange.remove(StoreRecord.Key(.endpoint, "e\($0)")) }
    let first = try theirs.update(since: 0, .process) { _ in ((), keys) }.1
    #expect(try ours.read(since: known).changes.count == 6_000)
    let second = try theirs.update(since: 0, .process) { _ in ((), keys) }.1
    // Of the first 6,000, 2,000 are forgotten: a user that has not read all of them gets a complete report.
    #expect(try ours.read(since: known).isComplete)
    let delta = try ours.read(since: first)
    #expect(!delta.isComplete)
    #expect(delta.changes.count == 6_000)
    #expect(delta.revision == second)
    #expect(try Database(directory.database).number("SELECT count(*) FROM removed") == 10_000)
  }

  @Test func outlivesItsProcesses() throws {
    let endpoint = try Samples.endpoint(1)
    let other = try TemporaryDirectory()
    var revision: UInt64 = 0
    do { revision = try SQLiteStore(at: other.store).write(.save(.endpoint(endpoint)), durability: .power) }
    #expect(try other.names() == ["host.lock", "open.lock", "owners", "state.db"])
    #expect(try other.names("owners").isEmpty)
    let again = try SQLiteStore(at: other.store)
    #expect(try again.records() == [.endpoint(endpoint)])
    #expect(try again.read(since: revision).changes.isEmpty)
  }
}
