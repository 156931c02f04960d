import CContainerNetworking
import NetworkPrimitives

/// A dedicated thread, for calls that block without limit.
enum Thread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a new thread, which ends with it.
  ///
  /// - Parameter name: The name in `/proc/self/task/TID/comm`; 15 bytes at most.
  static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(NetworkError) {
    let context = unsafe Unmanaged.passRetained(Body(body))
    let result = unsafe cn_thread_start(
      name, { unsafe Unmanaged<Body>.fromOpaque($0.unsafelyUnwrapped).takeRetainedValue().run() },
      context.toOpaque())
    if result < 0 { unsafe context.release() }
    try check(result, "pthread_create", "start thread \(name)")
  }
}
