import Netlink
public import NetworkPrimitives

/// The implementation of one kind of network. The engine decides the order of the steps, and records it; a driver makes, looks
/// and removes.
///
/// Calls come from threads of the controller, concurrently, and may block. Removals try every step and return the failures; a
/// missing object is no failure. Whatever a driver makes must lead back to the record: a call may be the last of its process,
/// and another one finds only the record and the kernel.
public protocol Driver: Sendable {
  /// The name by which networks' records tell it.
  var name: NetworkDriver { get }
  /// The properties of its networks; those of networks on a wire, past the host, unless said.
  var traits: DriverTraits { get }

  // MARK: - Networks

  /// Completes a network that is to be made from the host (a parent's MTU, say), and returns every fault.
  ///
  /// - Throws: When the kernel could not be asked.
  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError]
  /// Makes the host's part of a network. Of one that was made before, the missing parts; existing parts stay. Nothing, unless
  /// said.
  ///
  /// - Throws: The failure, with objects that the undo could not remove as its `leftovers`.
  func setUp(_ network: NetworkRecord, on occasion: SetUpOccasion) throws(NetworkError)
  /// Removes the host's part of a network; of one that was never whole (``Phase/creating``), what is its own. Nothing, unless
  /// said.
  func tearDown(_ network: NetworkRecord) -> [NetworkError]

  // MARK: - Endpoints

  /// What a network's new endpoint has from its driver: a hardware address of its own and the subnets' gateways, unless said.
  func endpointTraits(on network: NetworkRecord) throws(NetworkError) -> EndpointTraits
  /// Makes an endpoint: its link and addresses, and default routes of the families in `routes`.
  ///
  /// - Throws: As ``setUp(_:on:)``.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError)
  /// Makes several endpoints; one after the other, unless said.
  ///
  /// - Returns: One entry for each endpoint: nil, or its failure as the call above throws it.
  func connect(_ plugs: [EndpointPlug]) -> [NetworkError?]
  /// Removes an endpoint. For drivers that need it, `namespace` opens the container's namespace; it returns nil if that is
  /// gone.
  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError]

  // MARK: - Repairs

  /// The missing parts of a network and its endpoints on the host; none, unless said. What is missing of an endpoint in its
  /// container, the engine finds.
  func differences(
    of network: NetworkRecord, _ endpoints: [Endpoint], _ host: HostSnapshot
  ) throws(NetworkError) -> [Difference]
  /// Makes the missing parts of an endpoint. Unless said: all of it if the container has no link of its interface's name, else
  /// the missing addresses.
  ///
  /// - Throws: As ``setUp(_:on:)``.
  func restore(
    _ endpoint: Endpoint, on network: NetworkRecord, in namespace: NetworkNamespace, _ host: HostSnapshot
  ) throws(NetworkError)
}

/// A driver whose packets pass the host: its networks and endpoints have elements in our firewall tables, and ports.
protocol HostDriver: Driver {
  /// A network's elements, in parts; a part that is not settled is in transition, and may be there or not.
  func elements(of network: NetworkRecord) -> [(elements: FirewallElements, isSettled: Bool)]
  /// An endpoint's elements, its published ports included.
  func elements(of endpoint: Endpoint, on network: NetworkRecord) -> FirewallElements
  /// The elements of some published ports of an endpoint.
  func elements(of ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> FirewallElements
  /// Publishes ports of an existing endpoint.
  ///
  /// - Parameter endpoint: The endpoint with its other published ports.
  /// - Throws: As ``Driver/setUp(_:on:)``.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError)
  /// Releases some published ports of an endpoint.
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError]
  /// Deletes an endpoint's link, and leaves its elements, which may be another's by now.
  func unplug(_ endpoint: Endpoint) -> [NetworkError]
}

/// An endpoint that is to be made.
public struct EndpointPlug: Sendable {
  /// Its record.
  public var endpoint: Endpoint
  /// Its network.
  public var network: NetworkRecord
  /// Its container's namespace.
  public var namespace: NetworkNamespace

  /// The families for which it has the default route.
  public var routes: [AddressFamily] { endpoint.gateways.map(\.family) }
}

/// Why a network's part of the host is made: one of these three, in every version.
public enum SetUpOccasion: Sendable {
  /// The network is new.
  case creation
  /// The machine has started, and its kernel has nothing of the network.
  case start
  /// Something of the network was found missing.
  case repair
}

/// What a network's new endpoint has from its driver.
public struct EndpointTraits: Hashable, Sendable {
  /// The hardware address of every endpoint; nil if each has its own.
  public var macAddress: MACAddress?
  /// Whether only one endpoint at a time can have that address.
  public var isForOne = false
  /// The next hops of the default route, one for each family. The unspecified address stands for the link itself, as in
  /// route(8).
  public var gateways: [IPAddress]

  /// A hardware address of its own, and the gateways of the network's subnets.
  public init(_ network: NetworkRecord) { gateways = network.subnets.compactMap(\.gateway) }
}

extension Driver {
  /// Those of networks on a wire, past the host.
  public var traits: DriverTraits { DriverTraits() }
  /// Makes nothing.
  public func setUp(_ network: NetworkRecord, on occasion: SetUpOccasion) throws(NetworkError) {}
  /// Removes nothing.
  public func tearDown(_ network: NetworkRecord) -> [NetworkError] { [] }
  /// A hardware address of its own, and the subnets' gateways.
  public func endpointTraits(on network: NetworkRecord) throws(NetworkError) -> EndpointTraits {
    EndpointTraits(network)
  }

  /// Makes one after the other.
  public func connect(_ plugs: [EndpointPlug]) -> [NetworkError?] {
    plugs.map { plug in
      do throws(NetworkError) {
        try connect(plug.endpoint, to: plug.network, in: plug.namespace, routes: plug.routes)
        return nil
      } catch { return error }
    }
  }

  /// Finds nothing missing.
  public func differences(
    of network: NetworkRecord, _ endpoints: [Endpoint], _ host: HostSnapshot
  ) throws(NetworkError) -> [Difference] { [] }

  /// Makes all of it if the container has no link of its interface's name, else adds the missing addresses.
  public func restore(
    _ endpoint: Endpoint, on network: NetworkRecord, in namespace: NetworkNamespace, _ host: HostSnapshot
  ) throws(NetworkError) {
    guard try namespace.links.glances().contains(where: { $0.name == "\(endpoint.interface)" }) else {
      return try connect(endpoint, to: network, in: namespace, routes: [])
    }
    try reconfigure(endpoint, in: namespace)
  }
}
