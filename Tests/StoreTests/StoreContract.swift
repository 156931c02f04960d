import ContainerNetworking
import ContainerNetworkingStore
import NetworkPrimitives
import StoreSamples
import Synchronization
import TestSupport
import Testing

/// The stores that are held to one contract.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case memory
  case sqlite

  var testDescription: String { rawValue }
}

/// The contract of every store.
@Suite struct StoreContract {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func make(_ kind: StoreKind) throws -> any Store {
    switch kind {
    case .memory: MemoryStore()
    case .sqlite: try SQLiteStore(at: directory.store)
    }
  }

  @Test(arguments: StoreKind.allCases) func beginsEmptyAndComplete(kind: StoreKind) throws {
    let delta = try make(kind).read(since: 0)
    #expect(delta.isComplete)
    #expect(delta.changes.isEmpty)
    #expect(delta.revision > 0)
  }

  @Test(arguments: StoreKind.allCases) func keepsRecordsOfEveryKind(kind: StoreKind) throws {
    let store = try make(kind)
    let endpoint = try Samples.endpoint(1)
    let host = try Samples.host(1)
    let network = try Samples.network("blue")
    let sandbox = try Samples.sandbox("web")
    let pool = try Samples.pool()
    let records: [StoreRecord] = [
      .endpoint(endpoint), .host(host), .network(network), .sandbox(sandbox), .pool(pool),
    ]
    #expect(Set(records.map(\.key.kind)).count == StoreRecord.Key.Kind.allCases.count)
    _ = try store.update(since: 0, .process) { _ in ((), records.map { .save($0) }) }
    let kept = try store.records()
    #expect(kept == Set(records))
  }

  @Test(arguments: StoreKind.allCases) func replacesAndRemovesByKey(kind: StoreKind) throws {
    let store = try make(kind)
    let old = try Samples.endpoint(1, phase: .creating)
    let new = try Samples.endpoint(1, phase: .ready)
    let other = try Samples.endpoint(2)
    try store.write(.save(.endpoint(old)), .save(.endpoint(other)))
    try store.write(.save(.endpoint(new)))
    #expect(try store.records() == [.endpoint(new), .endpoint(other)])
    try store.write(.remove(StoreRecord.endpoint(new).key), .remove(StoreRecord.Key(.network, "none of that id")))
    #expect(try store.records() == [.endpoint(other)])
  }

  @Test(arguments: StoreKind.allCases) func countsEachUpdateThatChangesSomething(kind: StoreKind) throws {
    let store = try make(kind)
    let first = try store.read(since: 0).revision
    let endpoint = try Samples.endpoint(1)
    let second = try store.write(.save(.endpoint(endpoint)))
    #expect(second == first + 1)
    let (value, third) = try store.update(since: second, .power) { delta in (delta.changes.count, []) }
    #expect(value == 0)
    #expect(third == second)
    let delta = try store.read(since: second)
    #expect(!delta.isComplete && delta.changes.isEmpty && delta.revision == second)
  }

  @Test(arguments: StoreKind.allCases) func savesNothingOfAnUpdateThatThrows(kind: StoreKind) throws {
    let store = try make(kind)
    let revision = try store.read(since: 0).revision
    let error = refusal { () throws(NetworkError) in
      _ = try store.update(since: 0, .process) { (_) throws(NetworkError) -> (Void, [StoreChange]) in
        throw NetworkError(.exhausted, operation: "test")
      }
    }
    #expect(error?.code == .exhausted)
    #expect(try store.read(since: 0).revision == revision)
    let endpoint = try Samples.endpoint(1)
    #expect(try store.write(.save(.endpoint(endpoint))) == revision + 1)
  }

  @Test(arguments: StoreKind.allCases) func givesAnUpdateWhatChangedBefore(kind: StoreKind) throws {
    let store = try make(kind)
    let endpoint = try Samples.endpoint(1)
    try store.write(.save(.endpoint(endpoint)))
    let (seen, _) = try store.update(since: 0, .process) { delta in (delta, []) }
    #expect(seen.isComplete)
    #expect(seen.changes == [.save(.endpoint(endpoint))])
  }

  @Test(arguments: StoreKind.allCases) func tellsOthersOfChangesInTheirOrder(kind: StoreKind) throws {
    let store = try make(kind)
    let endpoints = try (0..<300).map { try Samples.endpoint($0) }
    _ = try store.update(since: 0, .process) { _ in ((), endpoints.map { .save(.endpoint($0)) }) }
    let known = try store.read(since: 0).revision
    let changed = try Samples.endpoint(2, phase: .removing)
    let new = try Samples.endpoint(1_000)
    let gone = StoreRecord.endpoint(endpoints[1]).key
    try store.write(.save(.endpoint(changed)))
    try store.write(.remove(gone), .save(.endpoint(new)))
    let delta = try store.read(since: known)
    #expect(!delta.isComplete)
    #expect(delta.changes == [.save(.endpoint(changed)), .remove(gone), .save(.endpoint(new))])
    #expect(delta.revision == known + 2)
    #expect(try store.read(since: known + 1).changes == [.remove(gone), .save(.endpoint(new))])
  }

  /// For any changes, the reported ones lead to the current state.
  @Test(arguments: StoreKind.allCases) func changesLeadToWhatThereIs(kind: StoreKind) throws {
    let store = try make(kind)
    var known: [StoreRecord.Key: StoreRecord] = [:]
    var revision: UInt64 = 0
    var generator = SeededGenerator()
    var complete = 0
    for round in 0..<60 {
      // Once in a while more than is remembered.
      let count = round % 20 == 19 ? 11_000 : Int.random(in: 1...5, using: &generator)
      var changes: [StoreChange] = []
      for _ in 0..<count {
        let host = try Samples.host(round)
        let endpoint = try Samples.endpoint(Int.random(in: 0..<20, using: &generator))
        changes.append(
          [.save(.endpoint(endpoint)), .remove(StoreRecord.endpoint(endpoint).key), .save(.host(host))].randomElement(
            using: &generator) ?? .save(.host(host)))
      }
      let all = changes
      _ = try store.update(since: 0, .process) { _ in ((), all) }
      if round % 3 == 0 { continue }
      let delta = try store.read(since: revision)
      if delta.isComplete {
        known = [:]
        complete += 1
      }
      for change in delta.changes {
        switch change {
        case .save(let record): known[record.key] = record
        case .remove(let key): known[key] = nil
        case .event: Issue.record("a delta has no events")
        }
      }
      revision = delta.revision
      let records = try store.records()
      #expect(Set(known.values) == records)
    }
    #expect(complete < 10)
  }

  @Test(arguments: StoreKind.allCases) func readsWhatIsUnsettledAlone(kind: StoreKind) throws {
    let store = try make(kind)
    let network = try Samples.network("blue")
    let host = try Samples.host(1)
    let pool = try Samples.pool()
    let begun = try Samples.endpoint(1, phase: .creating)
    var publishing = try Samples.endpoint(2)
    publishing.portChange = try Samples.portChange()
    var kept = try Samples.sandbox("~0123456789ab")
    kept.phase = .ready
    let settled = try (3..<40).map { index in
      StoreChange.save(.endpoint(try Samples.endpoint(index, phase: index % 2 == 0 ? .ready : .stopped)))
    }
    let stopped = try Samples.sandbox("web")
    let few: [StoreRecord] = [
      .network(network), .host(host), .pool(pool), .endpoint(begun), .endpoint(publishing), .sandbox(kept),
    ]
    let all = few.map { .save($0) } + settled + [.save(.sandbox(stopped))]
    _ = try store.update(since: 0, .process) { _ in ((), all) }
    let delta = try store.readUnsettled(since: 0)
    #expect(delta.isComplete)
    #expect(Set(delta.changes) == Set(few.map { .save($0) }))
    #expect(delta.revision == (try store.read(since: 0).revision))
    let nothing = try store.readUnsettled(since: delta.revision)
    #expect(!nothing.isComplete && nothing.changes.isEmpty && nothing.revision == delta.revision)
    // A record that becomes ready is no longer among them, one that begins to be removed is.
    let ready = try Samples.endpoint(1)
    let going = try Samples.endpoint(3, phase: .removing)
    try store.write(.save(.endpoint(ready)), .save(.endpoint(going)), .remove(StoreRecord.sandbox(kept).key))
    let after = try store.readUnsettled(since: delta.revision)
    #expect(after.isComplete)
    let now: [StoreRecord] = [.network(network), .host(host), .pool(pool), .endpoint(publishing), .endpoint(going)]
    #expect(Set(after.changes) == Set(now.map { .save($0) }))
  }

  @Test(arguments: StoreKind.allCases) func isCompleteForARevisionThatItNeverHad(kind: StoreKind) throws {
    let store = try make(kind)
    let endpoint = try Samples.endpoint(1)
    let revision = try store.write(.save(.endpoint(endpoint)))
    let delta = try store.read(since: revision + 1_000)
    #expect(delta.isComplete)
    #expect(delta.changes == [.save(.endpoint(endpoint))])
    #expect(delta.revision == revision)
  }

  @Test(arguments: StoreKind.allCases) func numbersEventsAndDropsTheOldest(kind: StoreKind) throws {
    let store = try make(kind)
    for count in 1...1_010 {
      try store.write(.event(NetworkEvent(.connect, networkID: "id", network: "blue", container: "c\(count)")))
    }
    let events = try store.events(after: 0)
    #expect(events.map(\.number) == Array(11...1_010))
    #expect(events.map { $0.event.container } == (11...1_010).map { "c\($0)" })
    #expect(try store.events(after: 1_008).map(\.number) == [1_009, 1_010])
    #expect(try store.events(after: 1_010).isEmpty)
    #expect(try store.events(after: .max).isEmpty)
    #expect(try store.read(since: 0).changes.isEmpty)
  }

  @Test(arguments: StoreKind.allCases) func runsOneExclusiveBodyAtATime(kind: StoreKind) async throws {
    let store = try make(kind)
    let counter = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask { for _ in 0..<50 { try store.exclusively { counter.addSlowly() } } }
      }
      try await group.waitForAll()
    }
    #expect(counter.value == 400)
    let error = refusal { () throws(NetworkError) in
      try store.exclusively { () throws(NetworkError) in throw NetworkError(.refused, operation: "test") }
    }
    #expect(error?.code == .refused)
  }

  @Test(arguments: StoreKind.allCases) func isUsedByManyThreadsAtOnce(kind: StoreKind) async throws {
    let store = try make(kind)
    let first = try store.read(since: 0).revision
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for index in 0..<25 {
            let endpoint = try Samples.endpoint(task * 25 + index)
            try store.write(.save(.endpoint(endpoint)))
            _ = try store.read(since: 0)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try store.records().count == 200)
    #expect(try store.read(since: 0).revision == first + 200)
  }

  @Test(arguments: StoreKind.allCases) func itsOwnTokenIsAlive(kind: StoreKind) throws {
    let store = try make(kind)
    #expect(store.isAlive(store.token))
  }
}

/// A number that loses additions when two are made at once.
final class Counter: Sendable {
  private let stored = Atomic(0)
  var value: Int { stored.load(ordering: .relaxed) }

  func addSlowly() {
    let before = stored.load(ordering: .relaxed)
    for _ in 0..<1_000 { _ = stored.load(ordering: .relaxed) }
    stored.store(before + 1, ordering: .relaxed)
  }
}
