import ContainerNetworking
import ContainerNetworkingStore
import NetworkPrimitives
import StoreSamples
import SystemPackage
import Testing

/// Many processes on one directory, and the remains of a killed one.
@Suite struct ProcessTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func start(_ count: Int, _ command: String, _ number: Int = 0) throws -> [(lines: [String], status: Int32)] {
    let probes = try (0..<count).map { _ in try Probe(command, directory.store.string, "\(number)") }
    for probe in probes { try probe.release() }
    return probes.map { $0.finish() }
  }

  @Test(arguments: 1...5) func tenOpenANewDirectoryAtOnce(round: Int) throws {
    for (lines, status) in try start(10, "open") {
      #expect(lines == ["open 1"])
      #expect(status == 0)
    }
    #expect(try directory.names("owners").isEmpty)
  }

  @Test func fourCountAtOnceAndLoseNothing() throws {
    for (lines, status) in try start(4, "count", 100) {
      #expect(lines == ["done"])
      #expect(status == 0)
    }
    let expected = try Samples.host(400)
    #expect(try SQLiteStore(at: directory.store).records() == [.host(expected)])
  }

  @Test func fourExcludeEachOther() throws {
    for (lines, status) in try start(4, "exclude", 100) {
      #expect(lines == ["done"])
      #expect(status == 0)
    }
    #expect(String(decoding: try Bytes.read(directory.store.appending("number")), as: UTF8.self) == "400")
  }

  @Test(arguments: 1...3) func whatWasReturnedOutlivesAKill(round: Int) throws {
    let probe = try Probe("write", directory.store.string, "100000")
    var told: [String] = []
    for _ in 0..<(200 * round) { told.append(try #require(probe.line())) }
    told += probe.kill()
    let store = try SQLiteStore(at: directory.store)
    let kept = try store.records()
    let revision = try store.read(since: 0).revision
    let last = try #require(told.last(where: { $0.contains(" ") })).split(separator: " ")
    let count = try #require(Int(last[0])) + 1
    // The update after the last reported one may have been saved, and its report lost.
    #expect(kept.count == count || kept.count == count + 1)
    #expect(revision == UInt64(kept.count) + 1)
    for index in 0..<kept.count {
      let endpoint = try Samples.endpoint(index)
      #expect(kept.contains(.endpoint(endpoint)))
    }
  }

  @Test func anUpdateThatWasKilledLeavesNothing() throws {
    let store = try SQLiteStore(at: directory.store)
    let endpoint = try Samples.endpoint(1)
    let revision = try store.write(.save(.endpoint(endpoint)))
    let probe = try Probe("stall", directory.store.string, "2")
    #expect(probe.line() == "within")
    #expect(try store.read(since: revision).changes.isEmpty, "a reader does not wait for a writer")
    probe.kill()
    let third = try Samples.endpoint(3)
    #expect(try store.write(.save(.endpoint(third))) == revision + 1)
    #expect(try store.records() == [.endpoint(endpoint), .endpoint(third)])
  }

  @Test func anOwnerIsAliveUntilItIsKilled() throws {
    let store = try SQLiteStore(at: directory.store)
    let probe = try Probe("hold", directory.store.string)
    let token = try #require(probe.line())
    #expect(token != store.token)
    #expect(store.isAlive(token))
    #expect(try directory.names("owners") == [store.token, token].sorted())
    probe.kill()
    #expect(!store.isAlive(token))
    #expect(try directory.names("owners") == [store.token])
    #expect(!store.isAlive(token))
  }

  @Test func ofTwoUsersInAProcessEachHasAToken() throws {
    let store = try SQLiteStore(at: directory.store)
    var other: SQLiteStore? = try SQLiteStore(at: directory.store)
    let token = try #require(other?.token)
    #expect(token != store.token)
    #expect(store.isAlive(token))
    #expect(other?.isAlive(store.token) == true)
    other = nil
    #expect(!store.isAlive(token))
    #expect(try directory.names("owners") == [store.token])
  }

  /// Another store of the same process that comes and goes does not release the first one's locks (fcntl(2)). A process
  /// that ends meanwhile is not the last, and leaves the journal to it.
  @Test func ofTwoUsersInAProcessTheSecondLeavesTheFirstItsLocks() throws {
    let store = try SQLiteStore(at: directory.store)
    for number in 0..<3 {
      do { try SQLiteStore(at: directory.store).write(.save(.endpoint(Samples.endpoint(number)))) }
      let probe = try Probe("write", directory.store.string, "\(10 * (number + 1))")
      #expect(probe.finish().status == 0)
      #expect(Bytes.exists(FilePath(directory.database.string + "-wal")))
      try store.write(.save(.endpoint(Samples.endpoint(100 + number))))
    }
    let records = try store.records()
    #expect(records.count == 33)
    let anew = try SQLiteStore(at: directory.store).records()
    #expect(anew == records)
  }

  @Test(arguments: ["", ".", "..", "../state.db", "memory", "0123456789ABCDEF0123456789ABCDEF", "a\u{0}b"])
  func whatIsNoTokenIsNotAlive(text: String) throws {
    let store = try SQLiteStore(at: directory.store)
    #expect(!store.isAlive(text))
    #expect(Bytes.exists(directory.database))
  }

  @Test func aDeadOwnersFileIsClearedAtTheNextOpening() throws {
    let probe = try Probe("hold", directory.store.string)
    let token = try #require(probe.line())
    probe.kill()
    #expect(try directory.names("owners") == [token])
    let store = try SQLiteStore(at: directory.store)
    #expect(try directory.names("owners") == [store.token])
  }
}
