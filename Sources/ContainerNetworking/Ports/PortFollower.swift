import Dispatch
import NetworkPrimitives

/// Follows the ports that other processes of the same record publish and release, while the controller lives.
final class PortFollower: Sendable {
  /// The polling interval of the record; a poll without news takes a few microseconds.
  static let intervalMilliseconds: UInt32 = 200

  /// A queue of its own: other processes wait for its work, and Swift's threads may all be busy.
  private let queue = DispatchQueue(label: "ContainerNetworking.ports")

  init(_ engine: Engine) { schedule(engine) }

  private func schedule(_ engine: Engine) {
    queue.asyncAfter(deadline: .now() + .milliseconds(Int(Self.intervalMilliseconds))) { [weak self, weak engine] in
      guard let self, let engine else { return }
      // A failure to read or to reserve is retried at the next poll.
      _ = attempt { () throws(NetworkError) in try engine.followPorts() }
      schedule(engine)
    }
  }
}
