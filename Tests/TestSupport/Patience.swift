import Foundation

/// How long tests wait for something that is sure to come: so long that only a fault makes them give up.
public enum Patience {
  /// A minute, four times as long on a machine with much else to do.
  ///
  /// `TEST_PATIENCE` multiplies it, for machines that are slower still.
  public static var limit: Duration {
    let factor = ProcessInfo.processInfo.environment["TEST_PATIENCE"].flatMap { Double($0) } ?? 1
    return .seconds(60 * factor * min(max(1, loadPerCore), 4))
  }

  /// ``limit`` in milliseconds, for calls that take those.
  public static var milliseconds: Int32 { Int32(clamping: Int64(limit / .milliseconds(1))) }

  /// Processes that run or want to, for each processor, over the last minute.
  private static var loadPerCore: Double {
    let text = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
    let load = text.split(separator: " ").first.flatMap { Double($0) } ?? 0
    return load / Double(ProcessInfo.processInfo.activeProcessorCount)
  }

  static let pause = Duration.milliseconds(10)
}

/// Waits until something is so; false when it is not within ``Patience/limit``.
public func eventually(_ isSo: () async throws -> Bool) async throws -> Bool {
  try await eventualValue { try await isSo() ? true : nil } ?? false
}

/// Polls until there is a value; nil when there is none within ``Patience/limit``.
public func eventualValue<Value>(_ look: () async throws -> Value?) async throws -> Value? {
  let start = ContinuousClock.now
  while true {
    if let value = try await look() { return value }
    guard ContinuousClock.now - start < Patience.limit else { return nil }
    try await Task.sleep(for: Patience.pause)
  }
}

/// Waits as ``eventually(_:)``, for code that is not asynchronous: it blocks its thread.
public func waitUntil(_ isSo: () throws -> Bool) rethrows -> Bool {
  try waitForValue { try isSo() ? true : nil } ?? false
}

/// Looks as ``eventualValue(_:)``, for code that is not asynchronous: it blocks its thread.
public func waitForValue<Value>(_ look: () throws -> Value?) rethrows -> Value? {
  let start = ContinuousClock.now
  while true {
    if let value = try look() { return value }
    guard ContinuousClock.now - start < Patience.limit else { return nil }
    Thread.sleep(forTimeInterval: Patience.pause / .seconds(1))
  }
}
