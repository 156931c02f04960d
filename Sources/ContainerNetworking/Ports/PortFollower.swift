import Dispatch
import NetworkPrimitives

/// Follows what other processes of the same record publish and release, while the controller lives.
final class PortFollower: Sendable {
  /// How often the record is asked, which takes it a few microseconds when nothing is new.
  static let intervalMilliseconds: UInt32 = 200

  /// One of its own: others wait for what is done here, and Swift's threads may all be busy.
  private let queue = DispatchQueue(label: "ContainerNetworking.ports")

  init(_ engine: Engine) { schedule(engine) }

  private func schedule(_ engine: Engine) {
    queue.asyncAfter(deadline: .now() + .milliseconds(Int(Self.intervalMilliseconds))) { [weak self, weak engine] in
      guard let self, let engine else { return }
      // What cannot be read or had now is tried again.
      _ = attempt { () throws(NetworkError) in try engine.followPorts() }
      schedule(engine)
    }
  }
}
