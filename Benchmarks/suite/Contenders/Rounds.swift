import BenchmarkKit
import Glibc

/// Attaches and detaches of contenders that take turns, at each of their counts.
@MainActor struct Rounds {
  let contenders: [any Contender]
  let notebook: Notebook
  private let clock = ContinuousClock()
  /// The pause before each turn, microseconds: the kernel frees deleted objects in its own time, which must not count
  /// for the next contender.
  private static let pause: UInt32 = 30_000

  init(_ contenders: [any Contender], _ notebook: Notebook) {
    self.contenders = contenders
    self.notebook = notebook
  }

  /// One contender's times at one count, microseconds.
  private struct Times {
    var attach: [Double] = []
    var detach: [Double] = []
    var processor: [Double] = []
  }

  /// Fills up to each count in turn, and measures there.
  ///
  /// - Parameter visit: What else is to be measured there.
  func measure(_ visit: @MainActor (any Contender, Int) async throws -> Void) async throws {
    for contender in contenders { try await contender.prepare() }
    var filled = 0
    for count in Set(contenders.flatMap(\.counts)).sorted() {
      let here = contenders.filter { $0.counts.contains(count) }
      for number in filled + 1..<max(count, filled) + 1 {
        for contender in here {
          try await contender.makeContainer(number)
          try await contender.attach(number)
        }
      }
      filled = count
      try await takeTurns(here, count)
      for contender in here { try await visit(contender, count) }
    }
  }

  private func takeTurns(_ contenders: [any Contender], _ count: Int) async throws {
    var times = [Times](repeating: Times(), count: contenders.count)
    // One more to warm up.
    for round in 0...(contenders.map(\.rounds).max() ?? 0) {
      // The first of one round is the last of the next.
      let order = round.isMultiple(of: 2) ? Array(contenders.indices) : contenders.indices.reversed()
      for index in order where round <= contenders[index].rounds {
        let contender = contenders[index]
        let number = count + 1
        try await contender.makeContainer(number)
        usleep(Self.pause)
        let before = contender.processorTime
        let start = clock.now
        try await contender.attach(number)
        let attached = clock.now
        let used = contender.processorTime - before
        let began = clock.now
        try await contender.detach(number)
        let detached = clock.now
        guard round > 0 else { continue }
        times[index].attach.append((attached - start) / .microseconds(1))
        times[index].detach.append((detached - began) / .microseconds(1))
        times[index].processor.append(used)
      }
    }
    for (contender, times) in zip(contenders, times) {
      try notebook.note(.attach, of: contender.who, at: count, times.attach)
      try notebook.note(.detach, of: contender.who, at: count, times.detach)
      try notebook.note(.attachProcessor, of: contender.who, at: count, times.processor)
    }
  }

  /// What a network costs, and eight attaches, one after the other and at once.
  func measureNetworksAndEight(_ contender: any Contender, beside count: Int, rounds: Int) async throws {
    if contender.makesNetworks {
      var (create, remove): ([Double], [Double]) = ([], [])
      for round in 0...rounds {
        usleep(Self.pause)
        let start = clock.now
        try await contender.createNetwork(round)
        let made = clock.now
        try await contender.removeNetwork(round)
        let removed = clock.now
        guard round > 0 else { continue }
        create.append((made - start) / .microseconds(1))
        remove.append((removed - made) / .microseconds(1))
      }
      try notebook.note(.createNetwork, of: contender.who, at: count, create)
      try notebook.note(.removeNetwork, of: contender.who, at: count, remove)
    }
    var (alone, together): ([Double], [Double]) = ([], [])
    let numbers = Array(count + 1...count + 8)
    for round in 0..<2 * max(1, min(rounds, 5)) {
      for number in numbers { try await contender.makeContainer(number) }
      usleep(2 * Self.pause)
      let start = clock.now
      if round.isMultiple(of: 2) {
        for number in numbers { try await contender.attach(number) }
        alone.append((clock.now - start) / .microseconds(8))
      } else {
        try await contender.attachAtOnce(numbers)
        together.append((clock.now - start) / .microseconds(8))
      }
      for number in numbers { try await contender.detach(number) }
    }
    try notebook.note(.eightOneByOne, of: contender.who, at: count, alone)
    try notebook.note(.eightAtOnce, of: contender.who, at: count, together)
  }
}
