import BenchmarkKit
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

// Whether anything grows with the number of containers that came and went: `make soak`.
// --attaches N: in one process. --processes N: of the tool, half of them attach, half of them detach.
// --tool PATH: the tool. --commit TEXT, --document FILE: the page that the tables are written into.

let arguments = Arguments()
let attaches = max(100, arguments.number("--attaches", default: 100_000))
let processes = max(100, arguments.number("--processes", default: 2_000))
let folder = try Folder.make()
let signals = Folder.removeAtSignals(folder)
defer {
  Folder.remove(folder)
  withExtendedLifetime(signals) {}
}

/// Runs a tenth, up to a half, and the rest, and returns the resources held after each.
func looks(_ total: Int, _ part: (Range<Int>) async throws -> Inventory) async throws -> [Inventory] {
  var looks: [Inventory] = []
  var start = 0
  for end in [total / 10, total / 2, total] {
    looks.append(try await part(start..<end))
    print("\(end) of \(total)")
    start = end
  }
  return looks
}

func table(_ what: String, _ total: Int, _ looks: [Inventory]) -> String {
  var table = Table([what] + [total / 10, total / 2, total].map { "after \($0)" })
  for (row, count) in looks[0].counts.enumerated() {
    table.add([count.name] + looks.map { "\($0.counts[row].value)" })
  }
  return table.text
}

do {
  let machine = Machine(commit: arguments["--commit"] ?? "", packages: ["iproute2", "nftables"])
  let one = try await LongLived(folder.appending("one"))
  let inOne = try await looks(attaches) { range in
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(range.upperBound, start + 1_000)
      try await one.turn(start..<end)
      try await one.flush()
      start = end
    }
    return try await one.look()
  }
  try await one.end()

  let many = try ShortLived(folder.appending("many"), tool: arguments["--tool"] ?? ".build/release/cnet")
  let inMany = try await looks(processes) { range in
    try many.turn(range)
    return try many.look()
  }

  let tables = [table("one process, attaches", attaches, inOne), table("processes of the tool", processes, inMany)]
  print(tables.joined(separator: "\n\n"))
  if let path = arguments["--document"] {
    var page = MarkedText(try String(contentsOfFile: path, encoding: .utf8))
    let parts = [("endurance machine", machine.description), ("one process", tables[0]), ("many processes", tables[1])]
    for (name, text) in parts where !page.replace(name, with: text) {
      throw NetworkError(.notFound, operation: "write \(path)", reason: "it has no part \"\(name)\"")
    }
    try page.text.write(toFile: path, atomically: true, encoding: .utf8)
  }
  let growth = [inOne, inMany].flatMap { $0[2].growth(since: $0[0]) + $0[2].growth(since: $0[1]) }
  if !growth.isEmpty {
    print("it grows:\n" + growth.joined(separator: "\n"))
    Folder.remove(folder)
    exit(1)
  }
  print("nothing grows")
} catch {
  print("failed: \(error)")
  Folder.remove(folder)
  exit(1)
}
