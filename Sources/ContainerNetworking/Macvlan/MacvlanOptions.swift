import Netlink
import NetworkPrimitives

extension MacvlanDriver {
  func validate(
    _ options: inout NetworkOptions, _ operation: String
  ) throws(NetworkError) -> [NetworkError] {
    var faults: [NetworkError] = []
    let refuse = { (code: NetworkError.Code, reason: String) in
      faults.append(NetworkError(code, operation: operation, reason: reason))
    }
    if options.bridge != nil {
      refuse(.conflictingOptions, "the driver \"macvlan\" has no bridge; leave its name out")
    }
    if !options.growsOverBridges {
      refuse(.conflictingOptions, "the driver \"macvlan\" has no bridge that could grow; leave that out")
    }
    if options.policy != NetworkPolicy() {
      refuse(
        .conflictingOptions,
        "icc, masquerading, host binding and gateway modes are the bridge driver's: no packet of a macvlan passes the "
          + "host; leave them out")
    }
    guard let name = options.parent else {
      refuse(
        .conflictingOptions,
        "the driver \"macvlan\" needs a parent: the host's link to the wire that the containers are to be on, as in eth0"
      )
      return faults
    }
    guard let parent = try host.links.list().first(where: { $0.name == name.description }) else {
      refuse(.notFound, "the parent \"\(name)\" is no link of the host; \(try candidates())")
      return faults
    }
    guard !parent.flags.contains(.loopback), parent.master == nil else {
      let what =
        parent.master == nil ? "the loopback, which has no wire" : "a port of a bridge, which takes its packets"
      refuse(.conflictingOptions, "the parent \"\(name)\" is \(what); \(try candidates())")
      return faults
    }
    if options.mtu > parent.mtu {
      if options.mtu == NetworkOptions().mtu {
        options.mtu = parent.mtu
      } else {
        refuse(.invalidValue, "the mtu \(options.mtu) is above the \(parent.mtu) of the parent \"\(name)\"")
      }
    }
    if let refusal = try probe(parent, options.macvlanMode) {
      faults.append(
        NetworkError(
          refusal.code, operation: operation,
          reason: "the kernel makes no macvlan on \"\(name)\"; name another parent", causes: [refusal]))
    }
    return faults
  }

  /// Creates a macvlan on the parent as an endpoint would, in a temporary namespace.
  ///
  /// - Returns: The kernel's refusal; nil if it succeeds.
  private func probe(_ parent: Link, _ mode: MacvlanMode) throws(NetworkError) -> NetworkError? {
    let scratch = try NetworkNamespace.create(on: host.kernel)
    let end = VethEnd(try InterfaceName("probe0"), namespace: scratch.handle.descriptor)
    do throws(NetworkError) {
      try host.connection(.route).execute(
        LinkRequests.createMacvlan(end, parent: parent.index, mtu: parent.mtu, mode: mode))
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
