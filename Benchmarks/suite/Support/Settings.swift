import BenchmarkKit
import SystemPackage

/// How much is measured.
struct Settings {
  /// Where the files of this run are; gone at its end.
  let directory: FilePath
  /// Counts of containers that the library and the floor are measured at.
  let counts: [Int]
  /// Those of netavark and the CNI plugins; the greatest takes them minutes to reach.
  let peerCounts: [Int]
  /// Docker's: a program runs in each of its containers.
  let dockerCounts: [Int]
  /// How many published ports the library has when connections are measured.
  let portCounts: [Int]
  /// How many endpoints the states have that are opened.
  let stateCounts: [Int]
  /// Turns of the library and the floor at each count, and of each other.
  let rounds: Int
  let peerRounds: Int
  /// How many connections are made, and how many bytes one of them carries.
  let connections: Int
  let bytes: Int64
  /// How many are beside in the crowded turns, and how many containers are held and get their rules back.
  let crowd: Int

  init(_ arguments: Arguments, directory: FilePath) {
    let isQuick = arguments.has("--quick")
    let limit = arguments.number("--peer-limit", default: isQuick ? 20 : 500)
    self.directory = directory
    counts = isQuick ? [0, 1, 20] : [0, 1, 100, 500, 1_000]
    peerCounts = (isQuick ? [0, 1, 20] : [0, 1, 100, 500, 1_000]).filter { $0 <= limit }
    dockerCounts = (isQuick ? [0, 1, 4] : [0, 1, 100]).filter { $0 <= limit }
    portCounts = isQuick ? [1, 100] : [1, 100, 1_000, 10_000]
    stateCounts = isQuick ? [100, 1_000] : [1_000, 10_000]
    rounds = arguments.number("--rounds", default: isQuick ? 10 : 100)
    peerRounds = max(3, rounds / 10)
    connections = isQuick ? 200 : 2_000
    bytes = isQuick ? 64 << 20 : 512 << 20
    crowd = isQuick ? 50 : 1_000
  }
}
