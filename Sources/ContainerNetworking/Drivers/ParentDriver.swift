import Netlink
import NetworkPrimitives

/// A driver whose networks are a link of the host, the parent, and whose endpoints are links on it, made in the containers'
/// namespaces. The containers are on the parent's wire: no packet of theirs passes the host, which has no bridge and no rules
/// for them.
protocol ParentDriver: Driver {
  var host: NetworkNamespace { get }
  /// The kind of its links (`IFLA_INFO_KIND`), and an article before it.
  static var kind: (article: String, name: String) { get }
  /// The request for a link on a network's parent.
  ///
  /// - Parameters:
  ///   - end: Its name and namespace.
  ///   - parent: The parent's index.
  ///   - mtu: Its MTU, no more than the parent's.
  func request(
    _ end: VethEnd, parent: Int32, mtu: UInt32, of settings: ParentLinkSettings
  ) throws(NetworkError) -> NetlinkRequest
}

/// The settings of a network's links on its parent: as its plan has them, or its record.
struct ParentLinkSettings: Sendable {
  var macvlanMode: MacvlanMode?
  var state: [String: String]

  init(_ plan: NetworkPlan) { (macvlanMode, state) = (plan.macvlanMode, plan.state) }
  init(_ network: NetworkRecord) { (macvlanMode, state) = (network.macvlanMode, network.driverState ?? [:]) }
}

// MARK: - Options

extension ParentDriver {
  /// Checks the parent and the options that have no meaning on a wire; a default MTU becomes the parent's if that is less.
  func parentFaults(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    let (options, article, kind) = (plan.options, Self.kind.article, Self.kind.name)
    var faults: [NetworkError] = []
    let refuse = { [plan] (code: NetworkError.Code, reason: String) in faults.append(plan.fault(code, reason)) }
    if options.bridge != nil {
      refuse(.conflictingOptions, "the driver \"\(name)\" has no bridge; leave its name out")
    }
    if !options.growsOverBridges {
      refuse(.conflictingOptions, "the driver \"\(name)\" has no bridge that could grow; leave that out")
    }
    if options.policy != NetworkPolicy() {
      refuse(
        .conflictingOptions,
        "icc, masquerading, host binding and gateway modes are the bridge driver's: no packet of \(article) \(kind) passes "
          + "the host; leave them out")
    }
    guard let link = options.parent else {
      refuse(
        .conflictingOptions,
        "the driver \"\(name)\" needs a parent: the host's link to the wire that the containers are to be on, as in eth0"
      )
      return faults
    }
    guard let parent = try host.links.list().first(where: { $0.name == link.description }) else {
      refuse(.notFound, "the parent \"\(link)\" is no link of the host; \(try candidates())")
      return faults
    }
    guard !parent.flags.contains(.loopback), parent.master == nil else {
      let what =
        parent.master == nil ? "the loopback, which has no wire" : "a port of a bridge, which takes its packets"
      refuse(.conflictingOptions, "the parent \"\(link)\" is \(what); \(try candidates())")
      return faults
    }
    if options.mtu > parent.mtu {
      if options.mtu == NetworkOptions().mtu {
        plan.options.mtu = parent.mtu
      } else {
        refuse(.invalidValue, "the mtu \(options.mtu) is above the \(parent.mtu) of the parent \"\(link)\"")
      }
    }
    if let refusal = try probe(parent, ParentLinkSettings(plan)) {
      let reason = refusal.lack(of: kind) ?? "the kernel makes no \(kind) on \"\(link)\"; name another parent"
      faults.append(plan.fault(refusal.code, reason, causes: [refusal]))
    }
    return faults
  }

  /// Creates a link on the parent as an endpoint would, in a temporary namespace.
  ///
  /// - Returns: The kernel's refusal; nil if it succeeds.
  private func probe(_ parent: Link, _ settings: ParentLinkSettings) throws(NetworkError) -> NetworkError? {
    let scratch = try NetworkNamespace.create(on: host.kernel)
    let end = VethEnd(try InterfaceName("probe0"), namespace: scratch.handle.descriptor)
    do throws(NetworkError) {
      try host.connection(.route).execute(request(end, parent: parent.index, mtu: parent.mtu, of: settings))
      // Deleted before the namespace: a macvlan in passthru mode blocks its parent for others.
      try scratch.links.delete(index: try scratch.links.get("\(end.name)").index)
      return nil
    } catch {
      if error.code == .permissionDenied { throw error }
      return error
    }
  }

  private func candidates() throws(NetworkError) -> String {
    let names = try host.links.list().filter { !$0.flags.contains(.loopback) && $0.master == nil }.map(\.name)
    return names.isEmpty ? "the host has no link that could be one" : "there are: \(names.joined(separator: ", "))"
  }
}

// MARK: - Endpoints

extension ParentDriver {
  /// Makes an endpoint's link in its container's namespace.
  ///
  /// - Parameters:
  ///   - mac: Its hardware address; nil for the kernel's choice.
  ///   - setUp: Configures the link, of an index; if it throws, the link is removed.
  func make(
    _ endpoint: Endpoint, _ mac: MACAddress?, on network: NetworkRecord, in namespace: NetworkNamespace,
    _ setUp: (Int32) throws(NetworkError) -> Void
  ) throws(NetworkError) {
    let parent = try parent(of: network)
    let end = VethEnd(endpoint.interface, macAddress: mac, namespace: namespace.handle.descriptor)
    // The kernel takes no more than the parent's MTU, which may have fallen.
    let request = try request(
      end, parent: parent.index, mtu: min(network.mtu, parent.mtu), of: ParentLinkSettings(network))
    // No echo: of a link in another namespace the kernel tells that one alone.
    do throws(NetworkError) { try host.connection(.route).execute(request) } catch {
      // After a lost answer the link may be there.
      guard error.code == .replyLost else { throw error }
      throw error.with(leftovers: unplug(endpoint, from: network, in: namespace))
    }
    do throws(NetworkError) {
      let inside = try namespace.links.get("\(endpoint.interface)").index
      try ignoreRouters(endpoint, in: namespace)
      try setUp(inside)
    } catch { throw error.with(leftovers: unplug(endpoint, from: network, in: namespace)) }
  }

  /// Other hosts share the link: their router advertisements would give the container addresses and routes.
  private func ignoreRouters(_ endpoint: Endpoint, in namespace: NetworkNamespace) throws(NetworkError) {
    do throws(NetworkError) {
      try namespace.setSysctl("net/ipv6/conf/\(endpoint.interface)/accept_ra", to: "0")
    } catch {
      // A host booted without IPv6 has no such sysctl.
      if endpoint.address(.ipv6) != nil || error.code != .notFound { throw error }
    }
  }

  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError] {
    do throws(NetworkError) {
      // The link went with its namespace.
      guard let namespace = try namespace() else { return [] }
      return unplug(endpoint, from: network, in: namespace)
    } catch { return [error] }
  }

  private func unplug(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace
  ) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      let link = try namespace.links.get("\(endpoint.interface)")
      guard try isOurs(link, endpoint, network) else { return }
      try namespace.links.delete(index: link.index)
    }
  }

  /// Whether a link of the endpoint's name was made for the endpoint, not by the container. The container may have
  /// changed its hardware address, but cannot change its parent.
  private func isOurs(
    _ link: Link, _ endpoint: Endpoint, _ network: NetworkRecord
  ) throws(NetworkError) -> Bool {
    guard link.kind == Self.kind.name else { return false }
    if link.macAddress == endpoint.macAddress { return true }
    return link.peer == (try parent(of: network).index)
  }

  func parent(of network: NetworkRecord) throws(NetworkError) -> Link {
    guard let parent = network.parent else {
      throw NetworkError(
        .damagedRecord, operation: "look for the parent of network \"\(network.name)\"",
        reason: "its record names none; remove the network and make it again")
    }
    return try host.links.get("\(parent)")
  }

  // MARK: - Repairs

  /// Differences inside the container are found there, and a missing parent is its owner's to bring back.
  func differences(
    of network: NetworkRecord, _ endpoints: [Endpoint], _ host: HostSnapshot
  ) throws(NetworkError) -> [Difference] {
    guard let parent = network.parent else { return [] }
    guard host.links[parent.description] != nil else {
      return [
        Difference(
          .parentMissing, network: network.name, "the parent \(parent) of network \"\(network.name)\" is gone")
      ]
    }
    let mtu = try self.host.links.get("\(parent)").mtu
    guard mtu < network.mtu else { return [] }
    return [
      Difference(
        .parentMTU, network: network.name,
        "the mtu \(network.mtu) of network \"\(network.name)\" is above the \(mtu) of its parent \(parent)")
    ]
  }
}
