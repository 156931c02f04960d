public import ServiceLifecycle

extension PortForwarder: Service {
  /// Runs until the service group shuts down gracefully, or its task is cancelled, and ends all that is carried then. A
  /// controller goes on using the forwarder until it is let go itself: list what uses the controller after it.
  public func run() async throws {
    // What is cancelled has nothing else to tell.
    try? await gracefulShutdown()
    stopAll()
  }
}
