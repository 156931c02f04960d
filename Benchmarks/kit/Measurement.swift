/// What was measured of one contender, with so many containers, ports or endpoints there.
public struct Measurement: Codable, Hashable, Sendable {
  /// What it is a figure of.
  public var what: Quantity
  /// Whom it was measured of.
  public var who: Contestant
  /// How many containers, ports or endpoints were there.
  public var size: Int
  /// Where the records are, for what was measured with both.
  public var records: Records?
  /// How many values it is made of.
  public var count: Int
  /// Their median, in the quantity's unit.
  public var median: Double
  /// Their 99th percentile; of fewer than 100 the greatest.
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

/// Who is measured.
public enum Contestant: String, Codable, Sendable, CaseIterable {
  case library = "ContainerNetworking"
  /// The same, by handing over what it kept ready.
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

/// Where the library's and the floor's records are.
public enum Records: String, Codable, Sendable, CaseIterable {
  case memory, sqlite = "SQLite"
}

/// What is measured, and in which unit.
public enum Quantity: String, Codable, Sendable, CaseIterable {
  // Everybody: microseconds.
  case attach, detach, attachProcessor, createNetwork, removeNetwork, eightOneByOne, eightAtOnce
  // The library and the floor in turns: microseconds, of the clock and of the processor.
  case ready, cold, handOver, removal
  case readyProcessor, coldProcessor, handOverProcessor, removalProcessor
  /// The library's alone, called by a task that is on the controller's threads.
  case readyOnThreads, readyOnThreadsProcessor
  /// 50 cold attaches, for each.
  case manyOneByOne, manyAtOnce
  // What is held for a container, and by all processes at their most; bytes.
  case bytesHeld, descriptorsHeld, peakMemory
  /// connect(2), microseconds.
  case connect
  /// Connections per second that one client makes, one after the other.
  case connectRate
  /// Megabytes per second of one connection.
  case throughput
  /// An element of a map added and removed, microseconds.
  case element
  /// Rules back after a flush, the library looking at rules alone, and at everything; and a look at everything; microseconds.
  case restore, restoreAll, look
  /// A state on disk opened: by a controller, by one that is asked for a container, with every record read; microseconds.
  case open, openAndFind, readAll
  /// The tool from its start to its end: its help, all networks, all containers; microseconds.
  case toolHelp, toolNetworks, toolContainers
  /// A look whether anything changed, and one endpoint changed so that it survives the process, and a power cut; microseconds.
  case readNothing, update, updateDurably

  /// What of the floor's it is to be compared with.
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
