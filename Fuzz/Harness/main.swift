import CFuzzer
import ContainerNetworkingTestKit
import Entries
import Glibc

// `FUZZ_ENTRY` names the entry; the arguments are libFuzzer's. With `FUZZ_SEEDS`, the entry's seeds are written into
// that directory, and that is all.

func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

func chosenEntry() -> FuzzEntry {
  guard let entry = variable("FUZZ_ENTRY").flatMap(FuzzEntry.init(rawValue:)) else {
    fatalError("FUZZ_ENTRY must be one of \(FuzzEntry.allCases.map(\.rawValue))")
  }
  return entry
}

let entry = chosenEntry()

if let directory = variable("FUZZ_SEEDS") {
  let seeds = try FuzzEntry.seeds(from: SimulatedKernel())[entry] ?? []
  for (number, seed) in Set(seeds).sorted(by: { $0.lexicographicallyPrecedes($1) }).enumerated() {
    guard let file = unsafe fopen("\(directory)/seed\(number)", "w") else { fatalError("cannot write to \(directory)") }
    guard unsafe fwrite(seed, 1, seed.count, file) == seed.count, unsafe fclose(file) == 0 else {
      fatalError("cannot write to \(directory)")
    }
  }
  exit(0)
}

var count = CommandLine.argc
var arguments = unsafe CommandLine.unsafeArgv
let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { start, count in
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  if let violation = entry.violation(bytes) { fatalError(violation) }
  return 0
}
exit(status)
