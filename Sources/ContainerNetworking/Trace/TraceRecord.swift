import Netlink

/// A bounded record of the traced steps: a busy host may produce any number.
struct TraceRecord {
  /// The traced packet's steps so far.
  private(set) var flow: TracedFlow
  /// Whether steps are missing.
  private(set) var isLossy = false
  /// Whether the record is full.
  private(set) var isFull = false

  private let begins: (TracedPacket) -> Bool
  private let hook: (NftTable, String) -> NftChain.Hook?
  private var steps: [NftTrace] = []

  /// The number of recorded steps.
  var count: Int { steps.count }

  /// A packet has some tens of steps; the rest belong to others.
  static let limit = 16_384

  /// - Parameters:
  ///   - begins: Whether a packet is one to trace.
  ///   - hook: The hook of a base chain.
  init(begins: @escaping (TracedPacket) -> Bool, hook: @escaping (NftTable, String) -> NftChain.Hook?) {
    self.begins = begins
    self.hook = hook
    flow = TracedFlow([], begins: begins)
  }

  mutating func add(_ more: NftTraceReader.Steps) {
    isLossy = isLossy || more.isLossy
    guard !isFull, !more.steps.isEmpty else { return }
    steps += more.steps
    flow = TracedFlow(TraceVisit.list(steps, hook: hook), begins: begins)
    guard steps.count > Self.limit else { return }
    if flow.there.isEmpty {
      steps.removeFirst(steps.count - Self.limit / 2)
    } else {
      (isFull, isLossy, steps) = (true, true, [])
    }
  }
}
