public import NetworkPrimitives

/// A container, or one of its interfaces, for ``NetworkController/keepOnly(_:matching:)``.
public struct AttachedInterface: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The container.
  public var container: String
  /// The interface in it; nil for every interface, and for a container without an endpoint.
  public var interface: InterfaceName?

  /// Makes one; nil for every interface of the container.
  public init(_ container: String, _ interface: InterfaceName? = nil) {
    self.container = container
    self.interface = interface
  }

  /// `web eth0`, or `web` for the container.
  public var description: String { container + (interface.map { " \($0)" } ?? "") }
}

/// A filter of endpoints: each criterion must match.
public struct EndpointFilter: Hashable, Sendable, Codable {
  /// Networks, by name or id; nil for all.
  public var networks: Set<String>?
  /// Labels of the endpoint (``EndpointOptions/labels``), each with its value.
  public var labels: [String: String]

  /// Makes a filter; by default it matches every endpoint.
  public init(networks: Set<String>? = nil, labels: [String: String] = [:]) {
    self.networks = networks
    self.labels = labels
  }

  /// Whether the endpoint matches.
  public func matches(_ endpoint: Endpoint) -> Bool {
    (networks.map { $0.contains(endpoint.networkName) || $0.contains(endpoint.networkID) } ?? true)
      && labels.allSatisfy { endpoint.labels?[$0.key] == $0.value }
  }
}

/// The result of ``NetworkController/keepOnly(_:matching:)``.
public struct CollectionReport: Hashable, Sendable {
  /// The removed attachments, by container. A container without an endpoint has no interface here.
  public internal(set) var removed: [AttachedInterface] = []
  /// The failures to remove others.
  public internal(set) var failures: [NetworkError] = []
}
