public import ServiceLifecycle

extension PortForwarder: Service {
  /// Runs until the service group shuts down gracefully, or its task is cancelled, and then ends all forwarding. A
  /// controller keeps using the forwarder until it is released: list the controller's users after it.
  public func run() async throws {
    // A cancellation needs no further report.
    try? await gracefulShutdown()
    stopAll()
  }
}
