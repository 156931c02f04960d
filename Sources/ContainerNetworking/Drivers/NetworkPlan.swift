import Netlink
public import NetworkPrimitives

/// A network that is to be made, for its driver to check and to complete.
public struct NetworkPlan: Sendable {
  /// The network's id, 64 hexadecimal digits.
  public let id: String
  /// Its name.
  public let name: String
  /// The operation, for errors.
  public let operation: String
  /// Its creator's options. A driver may change them: to its parent's MTU, say.
  public var options: NetworkOptions
  /// What the driver has to know of the network later: recorded as ``NetworkRecord/driverState``.
  public var state: [String: String] = [:]
  /// The bridge; nil for a driver without one.
  var bridge: InterfaceName?
  /// The former state of that bridge, if it was there.
  var adopted: AdoptedBridge?
  /// The mode of the network's macvlans.
  var macvlanMode: MacvlanMode?

  init(_ name: String, _ options: NetworkOptions, _ operation: String) {
    (id, self.name, self.options, self.operation) = (makeID(), name, options, operation)
  }

  /// A fault of its options, for ``Driver/validate(_:)`` to return.
  public func fault(_ code: NetworkError.Code, _ reason: String, causes: [NetworkError] = []) -> NetworkError {
    NetworkError(code, operation: operation, reason: reason, causes: causes)
  }
}
