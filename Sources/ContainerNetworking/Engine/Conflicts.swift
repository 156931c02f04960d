import NetworkPrimitives

extension NetworkMode {
  /// All options that conflict with this mode; each error names both sides.
  func conflicts(with options: AttachOptions, container: String, hasNamespace: Bool) -> [NetworkError] {
    var errors: [NetworkError] = []
    let refuse = { (what: String, remedy: String) in
      errors.append(
        NetworkError(
          .conflictingOptions, operation: "attach \"\(container)\" in mode \(self)",
          reason: "\(what) cannot be combined with mode \"\(self)\"; \(remedy)"))
    }
    let endpoint = options.endpoint
    switch self {
    case .network: break
    case .bridge:
      let remedy = "create a network with a subnet of your own and attach to that"
      for address in endpoint.addresses { refuse("the static address \(address)", remedy) }
      for alias in endpoint.aliases { refuse("the alias \"\(alias)\"", remedy) }
    case .host, .none, .container:
      for address in endpoint.addresses { refuse("the static address \(address)", "leave it out") }
      for alias in endpoint.aliases { refuse("the alias \"\(alias)\"", "leave it out") }
      if let address = endpoint.macAddress { refuse("the MAC address \(address)", "leave it out") }
      if let name = endpoint.interface { refuse("the interface name \"\(name)\"", "leave it out") }
    }
    switch self {
    case .container(let donor):
      if donor == container { refuse("the container itself as donor", "name another container") }
      if !options.ports.isEmpty { refuse("publishing ports", "publish them on \"\(donor)\", whose namespace it is") }
      if hasNamespace { refuse("a namespace of the container's own", "leave it out: the donor has one") }
      for what in options.names.described { refuse(what, "give it to \"\(donor)\", whose files it reads") }
    case .host:
      if hasNamespace { refuse("a namespace of the container's own", "leave it out: the host has one") }
    case .none:
      if options.names.extraHosts.contains(where: { $0.address == nil }) {
        refuse("the host's address (\(ExtraHost.hostGateway))", "write an address in its place: there is no interface")
      }
    case .bridge, .network: break
    }
    return errors
  }
}

extension [NetworkError] {
  /// Throws the errors, if any: a single one as it is, several as the causes of one.
  func throwAny(_ operation: String) throws(NetworkError) {
    if !isEmpty { throw NetworkError(faults: self, operation: operation) }
  }

  /// Throws the failures of a complete teardown, if any.
  func throwLeftovers(_ operation: String) throws(NetworkError) {
    if !isEmpty { throw leftovers(operation) }
  }

  /// The failures of a complete teardown, as one error.
  func leftovers(_ operation: String) -> NetworkError {
    NetworkError(
      first?.code ?? .kernelRefused, operation: operation,
      reason: "\(counted(count, "object")) could not be removed; try again, or reconcile", causes: self)
  }
}
