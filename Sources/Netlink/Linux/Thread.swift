import CContainerNetworking
import NetworkPrimitives

/// A thread of the library's own, for calls that block for as long as they like.
enum Thread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a new thread, which ends with it.
  ///
  /// - Parameter name: What `/proc/self/task/TID/comm` shows; 15 bytes at most.
  static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(NetworkError) {
    let context = unsafe Unmanaged.passRetained(Body(body))
    let result = unsafe cn_thread_start(
      name, { unsafe Unmanaged<Body>.fromOpaque($0.unsafelyUnwrapped).takeRetainedValue().run() },
      context.toOpaque())
    if result < 0 { unsafe context.release() }
    try check(result, "pthread_create", "start thread \(name)")
  }
}
