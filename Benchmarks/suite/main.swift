import BenchmarkKit
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

// What containers' networks cost: this library, the same requests by C, netavark, the CNI plugins, Docker. See
// Documentation/Performance.md.
//
//     benchmark [--quick] [--rounds N] [--peer-limit N] [--only SECTION,…] [--json FILE] [--svg FILE] [--document DIRECTORY]
//               [--remark TEXT] [--commit NAME]
//     benchmark --from FILE [--svg FILE] [--document DIRECTORY]    the documents of a run that was made before
//
// --document makes DIRECTORY/Performance.json of the run, the marked tables of DIRECTORY/Performance.md of that, and
// DIRECTORY/Pictures/Attach.svg.

let arguments = Arguments()

if let section = arguments["--section"].flatMap({ Section(rawValue: $0) }), let directory = arguments["--directory"] {
  exit(await Supervisor.measure(section, Settings(arguments, directory: FilePath(directory))))
}

func publish(_ results: Results) throws {
  let parts = Tables(results).parts
  for (name, text) in parts { print("\n\(name)\n\n\(text)") }
  if let path = arguments["--json"] { try results.json().write(toFile: path, atomically: true, encoding: .utf8) }
  if let path = arguments["--svg"] { try Chart(results).svg.write(toFile: path, atomically: true, encoding: .utf8) }
  if let directory = arguments["--document"] { try Document(directory).make(of: results) }
}

do {
  if arguments.has("--quick"), arguments["--document"] != nil {
    throw NetworkError(
      .invalidValue, operation: "make documents", reason: "a quick run is too short for them; leave out --quick")
  }
  if let path = arguments["--from"] {
    var results = try Results(json: Data(contentsOf: URL(filePath: path)))
    if let remark = arguments["--remark"] { results.remarks.append(remark) }
    try publish(results)
    exit(0)
  }
  let only = arguments["--only"]?.split(separator: ",").map(String.init)
  if let unknown = only?.first(where: { Section(rawValue: $0) == nil }) {
    throw NetworkError(
      .invalidValue, operation: "choose parts",
      reason: "there is no part \"\(unknown)\"; there are \(Section.allCases.map(\.rawValue).joined(separator: ", "))")
  }
  if only != nil, arguments["--document"] != nil {
    throw NetworkError(
      .invalidValue, operation: "make documents", reason: "they are made of all parts; leave out --only")
  }
  var results = Results(
    machine: Machine(
      commit: arguments["--commit"] ?? "",
      packages: ["netavark", "containernetworking-plugins", "docker.io", "iptables"]))
  if let remark = arguments["--remark"] { results.remarks.append(remark) }
  if arguments.has("--quick") { results.remarks.append("A quick run, with few rounds: it shows that all of it works.") }
  let supervisor = try Supervisor()
  let clock = ContinuousClock()
  for section in Section.allCases where only?.contains(section.rawValue) ?? true {
    say("\(section.rawValue): \(section.title)")
    let start = clock.now
    do { if let remark = try supervisor.run(section, &results) { results.remarks.append(remark) } } catch {
      supervisor.finish()
      throw error
    }
    if supervisor.signal != 0 { break }
    say("  took \(Int((clock.now - start) / .seconds(1))) s")
  }
  supervisor.finish()
  if supervisor.signal != 0 { exit(128 + supervisor.signal) }
  try publish(results)
} catch {
  print("failed: \(error)")
  exit(1)
}
