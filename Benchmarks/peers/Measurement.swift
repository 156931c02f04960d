import Glibc

/// What one contender's turns took with so many containers there, microseconds, ascending.
struct Measurement {
  let contender: String
  let count: Int
  var attach: [Double] = []
  var detach: [Double] = []
  /// Processor time of all the attaches, its programs' included; not a number where that is not known.
  var attachProcessor = 0.0

  var medianAttach: Double { attach.share(0.5) }
  var medianDetach: Double { detach.share(0.5) }
  var processorPerAttach: Double { attach.isEmpty ? 0 : attachProcessor / Double(attach.count) }
}

extension [Double] {
  /// The value that this share of the ascending values is not above.
  func share(_ share: Double) -> Double { isEmpty ? .nan : self[Swift.min(count - 1, Int(Double(count) * share))] }
}

extension Contender {
  /// Fills up to each count in turn, and measures there.
  func measure(_ report: (Measurement) -> Void) async throws {
    try await prepare()
    var filled = 0
    let clock = ContinuousClock()
    for count in counts {
      while filled < count {
        filled += 1
        try await makeContainer(filled)
        try await attach(filled)
      }
      var measurement = Measurement(contender: name, count: count)
      // One more to warm up.
      for round in 0...rounds {
        let number = count + 1
        try await makeContainer(number)
        // What was deleted is freed in the kernel's own time.
        usleep(30_000)
        let processor = processorTime(ofPrograms: startsPrograms)
        let start = clock.now
        try await attach(number)
        let attached = clock.now
        let used = processorTime(ofPrograms: startsPrograms) - processor
        try await detach(number)
        let detached = clock.now
        guard round > 0 else { continue }
        measurement.attach.append((attached - start) / .microseconds(1))
        measurement.detach.append((detached - attached) / .microseconds(1))
        measurement.attachProcessor += tellsProcessorTime ? used : .nan
      }
      measurement.attach.sort()
      measurement.detach.sort()
      report(measurement)
    }
  }
}

/// Microseconds of processor time that this process has used, or that programs have which it started and waited for.
func processorTime(ofPrograms: Bool) -> Double {
  var usage = rusage()
  var children = rusage()
  unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
  unsafe getrusage(RUSAGE_CHILDREN.rawValue, &children)
  return usage.microseconds + (ofPrograms ? children.microseconds : 0)
}

extension rusage {
  fileprivate var microseconds: Double {
    Double(ru_utime.tv_sec + ru_stime.tv_sec) * 1e6 + Double(ru_utime.tv_usec + ru_stime.tv_usec)
  }
}
