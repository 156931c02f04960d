import BenchmarkKit
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

// What names cost: this library's name server, aardvark-dns and dnsmasq in one run, in turns, each with a host of its own.
// The load is dnsperf's, from a container's place; what is asked outside, another dnsmasq knows.
//
//     dns-benchmark [--counts 10,1000,10000] [--rounds N] [--seconds N] [--only NAME] [--json FILE]
//     dns-benchmark serve DIRECTORY       what is measured of this library: a name server in the namespace that it is in

if CommandLine.arguments.dropFirst().first == "serve", let directory = CommandLine.arguments.dropFirst(2).first {
  try await Library.serve(FilePath(directory))
}

let arguments = Arguments()
let counts = arguments.numbers("--counts", default: [10, 1_000, 10_000])
let rounds = arguments.number("--rounds", default: 3)
let seconds = arguments.number("--seconds", default: 2)
let contenders: [any Contender] = ([Library(), Aardvark(), Dnsmasq()] as [any Contender]).filter { contender in
  contender.isInstalled && arguments["--only"].map { $0 == contender.name } ?? true
}

let directory = try Folder.make()
let traps = Folder.removeAtSignals(directory)
var report = Report(contenders: contenders.map { "\($0.name) \($0.version)" })
do { for count in counts { try measure(count) } } catch {
  print("failed: \(error)")
  Folder.remove(directory)
  exit(1)
}
Folder.remove(directory)
print()
print(report.table)
if let path = arguments["--json"] { try report.json.write(toFile: path, atomically: true, encoding: .utf8) }

extension Report {
  /// Loads the labs in turns: as much as each of them can take, and with a rate that each of them can.
  mutating func compare(_ labs: [Lab], _ what: String, file: KeyPath<Lab, FilePath>) throws {
    var rates: [[Double]] = labs.map { _ in [] }
    var latencies: [[Double]] = labs.map { _ in [] }
    var lost = 0
    for _ in 0..<rounds {
      for (index, lab) in labs.enumerated() {
        let outcome = try lab.load(lab[keyPath: file], seconds: seconds)
        rates[index].append(outcome.rate)
        lost += outcome.lost
      }
      for (index, lab) in labs.enumerated() {
        latencies[index] += try lab.load(lab[keyPath: file], seconds: seconds, rate: Lab.steadyRate).latencies
      }
    }
    add("\(what): queries/s", rates.map(\.median), lessIsBetter: false)
    for (name, share) in [("median", 0.5), ("99th percentile", 0.99)] {
      let values = latencies.map { list in list.isEmpty ? nil : list.percentile(share) * 1e6 }
      add("\(what): \(name) at \(Lab.steadyRate)/s, µs", values, lessIsBetter: true)
    }
    if lost > 0 { remarks.append("\(lost) queries of \(what) were not answered.") }
  }
}

/// Everybody with so many names.
@MainActor func measure(_ count: Int) throws {
  var labs: [Lab] = []
  defer { for lab in labs { lab.end() } }
  for contender in contenders {
    let place = directory.appending("\(contender.name)-\(count)")
    labs.append(try Lab(contender, names: count, in: place))
  }
  let held = labs.map { lab in lab.memory() }
  report.add("start, \(count) names, ms", labs.map(\.startTime), lessIsBetter: true)
  try report.compare(labs, "local, \(count) names", file: \.localNames)
  // After all that was asked.
  report.add("memory before the first query, \(count) names, MiB", held.map { $0?.resident }, lessIsBetter: true)
  report.add("memory after all queries, \(count) names, MiB", labs.map { $0.memory()?.resident }, lessIsBetter: true)
  report.add("  of it the process's own, MiB", labs.map { $0.memory()?.own }, lessIsBetter: true)
  guard count == counts.first else { return }
  for lab in labs { try lab.warmUp() }
  try report.compare(labs, "names outside, asked before", file: \.outerNames)
}
