import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import NetworkPrimitives
import StoreSamples
import SystemPackage

// A process that uses a store, for tests that kill it, start ten of it at once, or take its disk away. It waits for standard
// input where it is told to wait, and says what it did, line by line.

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2 else {
  fatalError("usage: store-probe open|hold|write|save|stall|count|exclude DIRECTORY [NUMBER]")
}
let directory = FilePath(arguments[1])
let number = arguments.count > 2 ? Int(arguments[2]) ?? 0 : 0

func say(_ text: String) throws { try FileDescriptor.standardOutput.writeAll(Array("\(text)\n".utf8)) }

do {
  switch arguments[0] {
  case "open":  // as many as there are, at the same moment
    _ = readLine()
    let store = try SQLiteStore(at: directory)
    try say("open \(store.read(since: 0).revision)")
  case "hold":  // opens it and stays
    let store = try SQLiteStore(at: directory)
    try say(store.token)
    _ = readLine()
    try say(store.token)
  case "write":  // endpoint after endpoint, each told of when it is saved
    let store = try SQLiteStore(at: directory)
    for index in 0..<number {
      let endpoint = try Samples.endpoint(index)
      let (_, revision) = try store.update(since: 0, .process) { _ in ((), [.save(.endpoint(endpoint))]) }
      try say("\(index) \(revision)")
    }
  case "save":  // one record, as durable as is said
    let store = try SQLiteStore(at: directory)
    let host = try Samples.host(1)
    _ = try store.update(since: 0, .process) { _ in ((), [.save(.host(host))]) }
    try say("opened")
    let durability: StoreDurability = arguments.last == "power" ? .power : .process
    _ = try store.update(since: 0, durability) { _ in ((), [.save(.host(host))]) }
    try say("saved")
  case "stall":  // within an update that has written
    let store = try SQLiteStore(at: directory)
    let endpoint = try Samples.endpoint(number)
    _ = try store.update(since: 0, .process) { _ in
      do { try say("within") } catch { fatalError("\(error)") }
      _ = readLine()
      return ((), [.save(.endpoint(endpoint))])
    }
  case "count":  // adds 1 to the host's number, so often
    _ = readLine()
    let store = try SQLiteStore(at: directory)
    for _ in 0..<number {
      _ = try store.update(since: 0, .process) { delta in
        var count = 0
        for case .save(.host(let record)) in delta.changes { count = Int(record.sysctls["number"] ?? "") ?? 0 }
        let next: HostRecord
        do { next = try Samples.host(count + 1) } catch { fatalError("\(error)") }
        return ((), [.save(.host(next))])
      }
    }
    try say("done")
  case "exclude":  // the same with a plain file that nothing else protects
    _ = readLine()
    let store = try SQLiteStore(at: directory)
    let path = directory.appending("number")
    for _ in 0..<number {
      try store.exclusively {
        do {
          let file = try FileDescriptor.open(path, .readWrite, options: .create, permissions: .ownerReadWrite)
          var bytes = [UInt8](repeating: 0, count: 20)
          let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(fromAbsoluteOffset: 0, into: $0) }
          let value = Int(String(decoding: bytes[..<count], as: UTF8.self)) ?? 0
          sched_yield()
          try file.writeAll(toAbsoluteOffset: 0, Array("\(value + 1)".utf8))
          try file.close()
        } catch { fatalError("\(error)") }
      }
    }
    try say("done")
  default: fatalError("no such command: \(arguments[0])")
  }
} catch let error as NetworkError {
  try say("error \(error.code) \(error)")
  exit(1)
}
