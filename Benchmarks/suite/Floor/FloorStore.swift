import CBenchmarkFloor
import ContainerNetworking
import FoundationEssentials
import Glibc

/// The floor's database, and what the library writes down of a container with one published port.
@safe final class FloorStore {
  /// The texts of the library's own records of one container, by kind.
  let samples: [String: String]
  private let handle: OpaquePointer

  /// - Parameter store: Where the library has written down a container.
  init(at path: String, like store: any Store) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var samples: [String: String] = [:]
    for case .save(let record) in try store.read(since: 0).changes {
      let text: Data =
        switch record {
        case .network(let value): try encoder.encode(value)
        case .pool(let value): try encoder.encode(value)
        case .sandbox(let value): try encoder.encode(value)
        case .endpoint(let value): try encoder.encode(value)
        case .host(let value): try encoder.encode(value)
        }
      samples[record.key.kind.rawValue] = String(decoding: text, as: UTF8.self)
    }
    if let event = try store.events(after: 0).last {
      samples["event"] = String(decoding: try encoder.encode(event.event), as: UTF8.self)
    }
    self.samples = samples
    var opened: OpaquePointer?
    try check(unsafe floor_store_open(path, &opened))
    guard let opened = unsafe opened else { fatalError("an open store has no handle") }
    unsafe handle = opened
  }

  deinit { unsafe floor_store_close(handle) }

  /// - Parameter survivesPowerCut: Whether it waits for the disk.
  func update(_ changes: FloorChanges, survivesPowerCut: Bool = false) throws {
    try check(unsafe floor_store_update(handle, changes.start, changes.count, survivesPowerCut ? 1 : 0))
  }
}

/// What a network's making and removal write down, in two transactions each.
final class FloorNetworkRecords {
  let planned, made, leaving, gone: FloorChanges

  init(_ name: String, like samples: [String: String]) {
    let network = { FloorChanges.Change("network", name, samples["network"]) }
    let event = { FloorChanges.Change("event", "", samples["event"]) }
    planned = FloorChanges([network()])
    made = FloorChanges([network(), event()])
    leaving = FloorChanges([network()])
    gone = FloorChanges([.init("network", name, nil), .init("pool", "\(name)/ipv4", nil), event()])
  }
}

/// What a container's attach and detach write down, in two transactions each.
final class FloorRecords {
  let planned, handedOver, made, leaving, gone: FloorChanges

  init(_ number: Int, like samples: [String: String]) {
    let (container, endpoint) = ("floor\(number)", "\(number)" + String(repeating: "0", count: 56))
    let sandbox = { FloorChanges.Change("sandbox", container, samples["sandbox"]) }
    let plugged = { FloorChanges.Change("endpoint", endpoint, samples["endpoint"]) }
    let event = { FloorChanges.Change("event", "", samples["event"]) }
    let pool = { FloorChanges.Change("pool", "floor/ipv4", samples["pool"]) }
    planned = FloorChanges([pool(), plugged(), sandbox()])
    handedOver = FloorChanges([.init("sandbox", "~\(container)", nil), plugged(), sandbox()])
    made = FloorChanges([sandbox(), plugged(), event()])
    leaving = FloorChanges([plugged(), sandbox()])
    gone = FloorChanges([event(), .init("endpoint", endpoint, nil), pool(), .init("sandbox", container, nil)])
  }
}

/// Changes as C takes them; the texts are copied once, and freed with this object.
@safe final class FloorChanges {
  struct Change {
    let kind, identifier: String
    let text: String?
    init(_ kind: String, _ identifier: String, _ text: String?) {
      (self.kind, self.identifier, self.text) = (kind, identifier, text)
    }
  }

  let start: UnsafeMutablePointer<floor_change>
  let count: Int

  init(_ changes: [Change]) {
    count = changes.count
    unsafe start = .allocate(capacity: count)
    for (index, change) in changes.enumerated() {
      // strdup gives NULL only without memory, which the program does not survive anyway.
      let kind = unsafe strdup(change.kind).unsafelyUnwrapped
      let identifier = unsafe strdup(change.identifier).unsafelyUnwrapped
      let text = unsafe change.text.flatMap { unsafe strdup($0) }
      unsafe (start + index).initialize(to: floor_change(kind: kind, identifier: identifier, text: text))
    }
  }

  deinit {
    for index in 0..<count {
      unsafe free(UnsafeMutablePointer(mutating: start[index].kind))
      unsafe free(UnsafeMutablePointer(mutating: start[index].identifier))
      unsafe free(UnsafeMutablePointer(mutating: start[index].text))
    }
    unsafe start.deallocate()
  }
}
