public import ContainerNetworking

/// One packet of a kind, from a place to an address.
public struct Probe: Sendable, Hashable {
  /// How it asks.
  public enum Means: String, Sendable, Hashable, CaseIterable {
    /// A connection.
    case tcp
    /// A datagram.
    case udp
    /// An echo request.
    case icmp
  }

  /// The name of the place that it starts at.
  public var from: String
  /// Where it is sent.
  public var address: IPAddress
  /// The port; of no meaning for an echo request.
  public var port: UInt16
  /// How it asks.
  public var means: Means

  /// Makes a probe.
  public init(from: String, to address: IPAddress, port: UInt16, by means: Means) {
    self.from = from
    self.address = address
    self.port = port
    self.means = means
  }
}

/// The outcome of a probe.
public enum Outcome: Sendable, Hashable {
  /// An answer came, from this place, which saw the probe's source address; nil for a place without an agent.
  case answered(by: String?, seeing: IPAddress?)
  /// A reset (RFC 9293, 3.5.2), from a place that has nothing on that port.
  case reset
  /// An ICMP error with type and code, and its sender.
  case unreachable(type: Int, code: Int, from: String)
  /// No answer and no receiver, though servers and the controls answered.
  case dropped
  /// No answer, but this receiver, which saw the source address.
  case unanswered(heardBy: String, seeing: IPAddress?)
  /// The place itself would not send it: errno, `ENETUNREACH` without a route.
  case unsent(Int)
}
