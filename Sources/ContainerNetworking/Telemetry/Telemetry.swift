import CoreMetrics
import Logging
import NetworkPrimitives
import Synchronization

/// Tells of each verb and each repair: a line of the logger, and a figure of the metrics.
final class Telemetry: Sendable {
  /// The container and network of a verb.
  struct Subject: Sendable {
    var container: String?
    var network: String?
    /// How many containers, of a verb for many.
    var count: Int?
  }

  private struct Measure: Hashable {
    let verb: Verb
    let outcome: String
  }

  private let logger: Logger?
  private let factory: any MetricsFactory
  /// Made when first needed, so that a process of one verb makes one. A few for each verb: outcomes are codes of errors.
  private let timers = Mutex<[Measure: Timer]>([:])
  private let repairs: [Bool: Counter]

  init(_ logger: Logger?, _ factory: any MetricsFactory) {
    self.logger = logger
    self.factory = factory
    repairs = [true, false].reduce(into: [:]) { repairs, isMade in
      repairs[isMade] = Counter(
        label: "containernetworking_repairs_total", dimensions: [("outcome", isMade ? "made" : "failed")],
        factory: factory)
    }
  }

  /// Does what a verb does, and tells of it.
  func follow<Value>(
    _ verb: Verb, _ subject: Subject = Subject(), _ body: () throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    let start = ContinuousClock.now
    do throws(NetworkError) {
      let value = try body()
      note(verb, subject, start, nil)
      return value
    } catch {
      note(verb, subject, start, error)
      throw error
    }
  }

  private func note(_ verb: Verb, _ subject: Subject, _ start: ContinuousClock.Instant, _ failure: NetworkError?) {
    let duration = start.duration(to: .now)
    let measure = Measure(verb: verb, outcome: failure?.code.description ?? "done")
    let timer = timers.withLock { timers in
      if let timer = timers[measure] { return timer }
      let timer = Timer(
        label: "containernetworking_verb_duration",
        dimensions: [("verb", verb.rawValue), ("outcome", measure.outcome)], factory: factory)
      timers[measure] = timer
      return timer
    }
    let (seconds, attoseconds) = duration.components
    timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    guard let logger else { return }
    let level: Logger.Level = failure == nil ? .info : .error
    guard logger.logLevel <= level else { return }
    var metadata: Logger.Metadata = ["duration": "\(duration)"]
    metadata["container"] = subject.container.map { "\($0)" }
    metadata["network"] = subject.network.map { "\($0)" }
    metadata["containers"] = subject.count.map { "\($0)" }
    if let failure {
      metadata["code"] = "\(failure.code)"
      metadata["error"] = "\(failure)"
    }
    logger.log(level: level, "\(verb.rawValue)", metadata: metadata, source: "ContainerNetworking")
  }

  /// Tells of what a repair without a caller has found: a heal, or what an opening could not take away.
  func note(_ report: ReconcileReport) {
    let made = report.found.count - report.remaining.count
    if made > 0 { repairs[true]?.increment(by: made) }
    let failed = report.remaining.count + report.failures.count
    if failed > 0 { repairs[false]?.increment(by: failed) }
    guard let logger else { return }
    for difference in report.found + report.remaining.filter({ !report.found.contains($0) }) {
      let isRepaired = !report.remaining.contains(difference)
      var metadata: Logger.Metadata = ["kind": "\(difference.kind)"]
      metadata["container"] = difference.container.map { "\($0)" }
      if !difference.network.isEmpty { metadata["network"] = "\(difference.network)" }
      logger.log(
        level: isRepaired ? .notice : .warning, "\(isRepaired ? "repaired" : "not repaired"): \(difference.detail)",
        metadata: metadata, source: "ContainerNetworking")
    }
    for failure in report.failures {
      logger.log(
        level: .error, "\(failure)", metadata: ["code": "\(failure.code)"], source: "ContainerNetworking")
    }
  }
}

extension NetworkMode {
  /// The network that a container is put on; the mode for those without one.
  var telemetryName: String {
    switch self {
    case .network(let name): name
    default: description
    }
  }
}
