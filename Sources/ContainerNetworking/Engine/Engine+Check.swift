import Netlink
import NetworkPrimitives

/// One container beside the kernel, at a cost that does not grow with the others.
extension Engine {
  /// The differences of a container that two checks find; see ``differences(_:)``.
  func differences(of container: String) throws(NetworkError) -> [Difference] {
    let first = Set(try differencesAtOneLook(of: container).map(\.withoutCount))
    guard !first.isEmpty else { return [] }
    return try differencesAtOneLook(of: container).filter { first.contains($0.withoutCount) }
  }

  private func differencesAtOneLook(of container: String) throws(NetworkError) -> [Difference] {
    let survey = try survey(of: container)
    guard let sandbox = survey.sandboxes.first else { return [] }
    var list = unfinished(survey)
    guard sandbox.phase == .ready else { return list }
    let found = try self.container(sandbox, survey, looksInside: true)
    let isPresent = !found.contains(where: \.tellsOfAbsence) && !isInTheHosts(sandbox)
    let present = isPresent ? survey.endpoints.filter { $0.phase == .ready } : []
    list += try differences(of: Dictionary(grouping: present, by: \.networkID), survey)
    for endpoint in present {
      guard let network = survey.network(endpoint.networkID), network.phase == .ready else { continue }
      list += try ruleDifference(of: endpoint, on: network)
    }
    list += found
    list += try fileDifference(sandbox)
    return list + nameDifference(survey) + unservedPorts(survey)
  }

  /// The records of a container and the links that they name.
  private func survey(of container: String) throws(NetworkError) -> Survey {
    let (sandbox, endpoints, networks, record) = try look { (state) throws(NetworkError) in
      let sandbox = try state.sandbox(container)
      let endpoints = sandbox.isSharer ? [] : state.endpoints(ofSandbox: sandbox.sandboxID)
      let networks = Set(endpoints.map(\.networkID)).compactMap { state.networks[$0] }
      return (sandbox, endpoints, networks, state.host)
    }
    let bridges = networks.flatMap { $0.ownLinks + [$0.parent].compactMap { $0?.description } }
    var links: [String: LinkGlance] = [:]
    for name in bridges + endpoints.compactMap({ $0.hostInterface?.description }) {
      links[name] = try glance(at: InterfaceName(name))
    }
    var addresses: [AssignedAddress] = []
    for name in Set(networks.compactMap(\.bridge)) {
      if let link = links[name.description] { addresses += try host.addresses.list(link: link.index) }
    }
    return Survey(
      networks: networks.sorted { $0.name < $1.name }, endpoints: endpoints, sandboxes: [sandbox], host: record,
      snapshot: HostSnapshot(links: links, addresses: addresses), endpointsBySandbox: [sandbox.sandboxID: endpoints])
  }

  /// A link of the host; nil for none.
  private func glance(at name: InterfaceName) throws(NetworkError) -> LinkGlance? {
    do throws(NetworkError) {
      return try host.connection(.route).execute(LinkRequests.glance(at: name)).first.map {
        (message) throws(NetworkError) in try LinkGlance(message)
      }
    } catch {
      try error.rethrow(unless: .notFound)
      return nil
    }
  }

  /// The endpoint's and its network's elements that our firewall tables lack.
  private func ruleDifference(of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) -> [Difference] {
    guard passesHost(network) else { return [] }
    var elements = FirewallElements(endpoint, on: network)
    // While the port of the name server changes, its elements may be the former ones.
    if network.nameServer?.phase != .creating { elements.add(FirewallElements(network)) }
    let missing = try firewall.missing(of: elements)
    guard missing > 0 else { return [] }
    return [
      Difference(
        .rules, network: network.name, container: endpoint.container,
        "our firewall tables lack \(counted(missing, "element")) of \"\(endpoint.container)\" on \"\(network.name)\"")
    ]
  }
}

extension Firewall {
  /// The number of these elements that are not in our tables with the same value.
  func missing(of elements: FirewallElements) throws(NetworkError) -> Int {
    var requests: [NetlinkRequest] = []
    for (set, elements) in elements.list {
      for element in elements { requests.append(try NftRequests.element(element, of: set)) }
    }
    var outcomes = try host.connection(.netfilter).perform(requests)[...]
    var count = 0
    for (_, elements) in elements.list {
      for element in elements {
        guard let outcome = outcomes.popFirst() else { break }
        if let error = outcome.error {
          try error.rethrow(unless: .notFound)
          count += 1
        } else if try NftElement.found(outcome.replies).first?.identity != element.identity {
          count += 1
        }
      }
    }
    return count
  }
}
