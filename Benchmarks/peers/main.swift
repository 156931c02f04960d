import ContainerNetworking

// What an attach and a detach cost with this library, and with the programs that others start for it, in one run: each
// with a host of its own, and so many containers there already.
//
//     peers-benchmark [--library-limit N] [--peer-limit N] [--rounds N] [--json FILE] [--svg FILE]

func option(_ name: String) -> String? {
  let arguments = CommandLine.arguments
  return arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
}

func number(_ name: String, default value: Int) -> Int { option(name).flatMap { Int($0) } ?? value }

var report = Report()
let rounds = number("--rounds", default: 60)
let limit = number("--peer-limit", default: 500)
let note = { (one: Measurement) in
  print("\(one.contender), \(one.count) there: attach \(Int(one.medianAttach)) µs, detach \(Int(one.medianDetach)) µs")
  report.measurements.append(one)
}

let before = Holdings.now()
let library = try await Library(upTo: number("--library-limit", default: 1_000), rounds: rounds)
do {
  try await library.measure(note)
  let held = Holdings.now()
  let count = Double(library.counts.last ?? 1)
  report.figures.append(.init(name: "bytes held per container", value: (held.bytes - before.bytes) / count, unit: ""))
  report.figures.append(
    .init(
      name: "descriptors held per container, one of them the benchmark's own",
      value: (held.descriptors - before.descriptors) / count, unit: ""))
  report.figures += try await Extras(library).measure()
} catch {
  await library.finish()
  throw error
}
await library.finish()

// Their rounds are long ones.
let peers: [(String, (any Contender)?)] = [
  ("netavark", try Netavark(upTo: limit, rounds: max(3, rounds / 6))),
  ("the CNI plugins", try CNIChain(upTo: limit, rounds: max(3, rounds / 6))),
  ("docker", try Docker(rounds: max(3, rounds / 6))),
]
for (name, peer) in peers {
  guard let peer else {
    report.remarks.append("Not measured: \(name), which is not installed.")
    continue
  }
  do { try await peer.measure(note) } catch {
    report.remarks.append("Not measured to the end: \(name): \(error)")
  }
  await peer.finish()
}

print()
print(report.table)
if let path = option("--json") { try Report.write(report.json, to: path) }
if let path = option("--svg") { try Report.write(Chart(report.measurements).svg, to: path) }
