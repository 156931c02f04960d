/// A measurement of one contender, beside so many containers, ports or endpoints.
public struct Measurement: Codable, Hashable, Sendable {
  /// The measured quantity.
  public var what: Quantity
  /// The contender.
  public var who: Contestant
  /// The number of containers, ports or endpoints present.
  public var size: Int
  /// The place of the records, for quantities measured with both.
  public var records: Records?
  /// The number of values.
  public var count: Int
  /// Their median, in the quantity's unit.
  public var median: Double
  /// Their 99th percentile; the greatest of fewer than 100.
  public var p99: Double

  /// Of values in any order.
  public init(_ what: Quantity, of who: Contestant, at size: Int, records: Records? = nil, _ values: [Double]) {
    self.what = what
    self.who = who
    self.size = size
    self.records = records
    count = values.count
    median = Self.rounded(values.median)
    p99 = Self.rounded(values.percentile(0.99))
  }

  /// To a tenth: JSON has no use for more.
  private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}

/// A contender.
public enum Contestant: String, Codable, Sendable, CaseIterable {
  case library = "ContainerNetworking"
  /// The same, by handing over ready sandboxes.
  case handOver = "ContainerNetworking, hand-over"
  case floor = "C floor"
  case netavark = "netavark"
  case cni = "CNI bridge+portmap+firewall"
  /// `docker network connect`, which has no port; its ports are those of `docker run --publish`.
  case docker = "docker"
  /// By the container's own address, through the library's chains.
  case ownAddress = "own address, through the same chains"
  /// By the container's own address, on a host without any rules.
  case plain = "no translation, no rules"
}

/// The place of the library's and the floor's records.
public enum Records: String, Codable, Sendable, CaseIterable {
  case memory, sqlite = "SQLite"
}

/// The measured quantities, with their units.
public enum Quantity: String, Codable, Sendable, CaseIterable {
  // All contenders: microseconds.
  case attach, detach, attachProcessor, createNetwork, removeNetwork, eightOneByOne, eightAtOnce
  // The library and the floor in turns: microseconds, of the clock and of the processor.
  case ready, cold, handOver, removal
  case readyProcessor, coldProcessor, handOverProcessor, removalProcessor
  /// The library alone, called by a task on the controller's threads.
  case readyOnThreads, readyOnThreadsProcessor
  /// 50 cold attaches, for each.
  case manyOneByOne, manyAtOnce
  // The resources held for a container, and the peak of all processes; bytes.
  case bytesHeld, descriptorsHeld, peakMemory
  /// connect(2), microseconds.
  case connect
  /// Connections per second that one client makes, one after the other.
  case connectRate
  /// Megabytes per second of one connection.
  case throughput
  /// An element of a map added and removed, microseconds.
  case element
  /// Restoration of the rules after a flush, the library checking rules alone, and everything; and a complete check;
  /// microseconds.
  case restore, restoreAll, look
  /// Opening a state on disk: by a controller, by one that is asked for a container, with every record read;
  /// microseconds.
  case open, openAndFind, readAll
  /// The tool from its start to its end: its help, all networks, all containers; microseconds.
  case toolHelp, toolNetworks, toolContainers
  /// A read without changes, and a change of one endpoint that survives the process, and a power cut; microseconds.
  case readNothing, update, updateDurably

  /// The floor's quantity for comparison.
  public var ofFloor: Quantity {
    switch self {
    case .readyOnThreads: .ready
    case .readyOnThreadsProcessor: .readyProcessor
    default: self
    }
  }

  /// The processor time of the same.
  public var processor: Quantity? {
    switch self {
    case .attach: .attachProcessor
    case .ready: .readyProcessor
    case .readyOnThreads: .readyOnThreadsProcessor
    case .cold: .coldProcessor
    case .handOver: .handOverProcessor
    case .removal: .removalProcessor
    default: nil
    }
  }
}
