import BenchmarkKit
import FoundationEssentials
import Glibc
import SystemPackage

/// What a section writes down, and prints, as it goes: what it has so far is there even if it dies.
@MainActor final class Notebook {
  private(set) var measurements: [Measurement] = []
  private let file: FilePath

  init(_ file: FilePath) { self.file = file }

  func note(
    _ what: Quantity, of who: Contestant, at size: Int, records: Records? = nil, _ values: [Double]
  ) throws {
    let one = Measurement(what, of: who, at: size, records: records, values)
    measurements.append(one)
    try JSONEncoder().encode(measurements).write(to: URL(filePath: file.string), options: .atomic)
    let place = records.map { ", records in \($0.rawValue)" } ?? ""
    say("  \(what.rawValue), \(who.rawValue), \(size) there\(place): \(one.median), 99th percentile \(one.p99)")
  }

  /// What a section of another process wrote down; nothing without its file.
  static func read(_ file: FilePath) -> [Measurement] {
    guard let data = try? Data(contentsOf: URL(filePath: file.string)) else { return [] }
    return (try? JSONDecoder().decode([Measurement].self, from: data)) ?? []
  }
}

/// Prints a line at once, also into a file, where those of several processes are to stay in order.
func say(_ line: String) {
  print(line)
  fflush(nil)
}
