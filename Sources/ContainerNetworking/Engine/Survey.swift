import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// The records and the kernel side by side.
struct Survey {
  var networks: [NetworkRecord]
  var endpoints: [Endpoint]
  var sandboxes: [SandboxRecord]
  var host: HostRecord?
  /// The host, read after the records.
  var snapshot: HostSnapshot
  /// The endpoints by their sandbox.
  var endpointsBySandbox: [String: [Endpoint]]

  var links: [String: LinkGlance] { snapshot.links }

  func network(_ id: String) -> NetworkRecord? { networks.first { $0.id == id } }

  /// The names of links, by index.
  var names: [Int32: String] { Dictionary(links.values.map { ($0.index, $0.name) }) { first, _ in first } }

  /// The current name of an uplink.
  func name(of uplink: Uplink) -> String {
    links.values.first { $0.index == uplink.index }?.name ?? "\(uplink.name)"
  }
}

/// The scope of a check.
struct LookScope {
  /// Whether containers' namespaces and files are checked; each takes a socket and two requests.
  var looksInside = true
  /// The containers to check inside; nil for all.
  var containers: Set<String>?
  /// Whether only our firewall tables are checked.
  var isOfRulesAlone = false

  static let rules = LookScope(looksInside: false, isOfRulesAlone: true)

  /// The scope for checking the found differences again.
  func narrowed(to found: some Sequence<Difference>) -> LookScope {
    if isOfRulesAlone || found.allSatisfy({ $0.kind == .rules }) { return .rules }
    return LookScope(looksInside: looksInside, containers: Set(found.compactMap(\.container)))
  }

  func looks(inside container: String) -> Bool { looksInside && containers?.contains(container) ?? true }
}

extension Difference {
  /// Whether nothing of the container's links can be there.
  var tellsOfAbsence: Bool { [.namespaceGone, .namespaceUnseen, .endpointGone].contains(kind) }

  /// Without the text, if that contains counts or lists that others may extend meanwhile: the difference is then the
  /// same.
  var withoutCount: Difference {
    var same = self
    if [.rules, .uplinks, .filesMissing].contains(kind) { same.detail = "" }
    return same
  }
}

extension Engine {
  /// Reads the records and the kernel. Links are listed after the records: a recorded link that is not listed is
  /// missing.
  func survey() throws(NetworkError) -> Survey {
    let (networks, unsorted, sandboxes, record) = try look { state in
      (Array(state.networks.values), Array(state.endpoints.values), Array(state.sandboxes.values), state.host)
    }
    let endpoints = unsorted.sorted { $0.id < $1.id }
    return Survey(
      networks: networks.sorted { $0.name < $1.name }, endpoints: endpoints,
      sandboxes: sandboxes.sorted { $0.container < $1.container }, host: record,
      snapshot: try HostSnapshot(of: host), endpointsBySandbox: Dictionary(grouping: endpoints, by: \.sandboxID))
  }

  /// Every difference between the records and the kernel that two checks find: work in progress has ended or changed at
  /// the second. The second check covers only the places of the first one's findings.
  func differences(_ scope: LookScope = LookScope()) throws(NetworkError) -> [Difference] {
    let first = Set(try differencesAtOneLook(scope))
    guard !first.isEmpty else { return [] }
    let seen = Set(first.map(\.withoutCount))
    return try differencesAtOneLook(scope.narrowed(to: first)).filter { seen.contains($0.withoutCount) }
  }

  private func differencesAtOneLook(_ scope: LookScope) throws(NetworkError) -> [Difference] {
    if scope.isOfRulesAlone { return try ruleDifference().map { [$0] } ?? [] }
    let survey = try survey()
    var list = unfinished(survey) + emptyBridges(survey) + forwarding(survey)
    var containers: [Difference] = []
    var gone: Set<String> = []
    for sandbox in survey.sandboxes where sandbox.phase == .ready {
      let looksInside = scope.looks(inside: sandbox.container)
      let found = try container(sandbox, survey, looksInside: looksInside)
      if found.contains(where: \.tellsOfAbsence) || isInTheHosts(sandbox) {
        gone.insert(sandbox.sandboxID)
      }
      containers += found
      if looksInside { containers += try fileDifference(sandbox) }
    }
    // What went with a namespace is not missed beside it, nor made again; nor is anything in the host's own.
    let present = survey.endpoints.filter { $0.phase == .ready && !gone.contains($0.sandboxID) }
    list += try differences(of: Dictionary(grouping: present, by: \.networkID), survey)
    list += strayPorts(survey).map { $0.difference }
    if scope.looksInside {
      list += try strayDirectories() + nameDifference(survey) + hostOverlaps(survey) + unservedPorts(survey)
    }
    list += containers
    if let rules = try ruleDifference() { list.append(rules) }
    return list
  }

  /// What the drivers find, of the networks first.
  func differences(
    of endpoints: [String: [Endpoint]], _ survey: Survey
  ) throws(NetworkError) -> [Difference] {
    var ofNetworks: [Difference] = []
    var ofEndpoints: [Difference] = []
    for network in survey.networks where network.phase == .ready {
      guard let driver = drivers[network.driver] else {
        ofNetworks.append(Difference(.driverMissing, network: network.name, drivers.absence(of: network)))
        continue
      }
      for found in try driver.differences(of: network, endpoints[network.id] ?? [], survey.snapshot) {
        if found.container == nil { ofNetworks.append(found) } else { ofEndpoints.append(found) }
      }
    }
    return ofNetworks + ofEndpoints
  }

  func unfinished(_ survey: Survey) -> [Difference] {
    let isLeft = { (phase: Phase, owner: String) in
      phase != .ready && phase != .stopped && !self.isAlive(owner)
    }
    return survey.networks.filter { isLeft($0.phase, $0.owner) }.map {
      Difference(.unfinished, network: $0.name, "network \"\($0.name)\" was left unfinished (\($0.phase.rawValue))")
    }
      + survey.sandboxes.filter { isLeft($0.phase, $0.owner) }.map {
        Difference(
          .unfinished, container: $0.container,
          "container \"\($0.container)\" was left unfinished (\($0.phase.rawValue))")
      }
      + survey.endpoints.filter { isLeft($0.phase, $0.owner) }.map {
        Difference(
          .unfinished, network: $0.networkName, container: $0.container,
          "the endpoint of \"\($0.container)\" on \"\($0.networkName)\" was left unfinished (\($0.phase.rawValue))")
      }
      + survey.endpoints.compactMap { endpoint in
        guard let change = endpoint.portChange, endpoint.phase == .ready, !self.isAlive(change.owner) else {
          return nil
        }
        let what = change.phase == .creating ? "published" : "released"
        return Difference(
          .unfinished, network: endpoint.networkName, container: endpoint.container,
          "ports of \"\(endpoint.container)\" on \"\(endpoint.networkName)\" were left half \(what)")
      }
  }

  /// Further bridges without endpoints; normally removed with their last endpoint.
  private func emptyBridges(_ survey: Survey) -> [Difference] {
    let used = Set(survey.endpoints.filter { $0.phase != .stopped }.compactMap(\.bridge))
    return survey.networks.filter { $0.phase == .ready }.flatMap { network in
      (network.furtherBridges ?? []).filter { !used.contains($0.name) }.map { further in
        Difference(
          .unfinished, network: network.name,
          "the further bridge \(further.name) of network \"\(network.name)\" is empty")
      }
    }
  }

  /// Networks in whose subnets the host has come to live.
  func hostOverlaps(_ survey: Survey) throws(NetworkError) -> [Difference] {
    let networks = survey.networks.filter { $0.phase == .ready && $0.allowsHostOverlap != true }
    guard !networks.isEmpty else { return [] }
    let surroundings = try surroundings(of: survey.networks)
    return networks.flatMap { network in
      hostOverlaps(of: network, surroundings).map { found in
        Difference(
          .hostOverlap, network: network.name,
          "\(found.subnet) of network \"\(network.name)\" overlaps \(found.what) of the host")
      }
    }
  }

  private func forwarding(_ survey: Survey) -> [Difference] {
    yieldedFamilies(survey.host).map { family in
      let links = (survey.host?.uplinks ?? []).filter { $0.family == family }.map { survey.name(of: $0) }
      return Difference(
        .uplinks,
        "the host now forwards \(family) on all links, but \(links.joined(separator: ", ")) still for our networks "
          + "alone"
      )
    }
      + forwardingSwitches(survey.host, survey.names).compactMap { name in
        guard let value = try? host.sysctl(name), value == "0" else { return nil }
        return Difference(.forwarding, "\(name) was switched on for our networks, but is off")
      } + idleUplinks(survey)
  }

  /// Links newer than the last network: packets that arrive on them for a container are not forwarded.
  private func idleUplinks(_ survey: Survey) -> [Difference] {
    let families = forwardedFamilies(survey.networks)
    // A port whose bridge is gone is not an uplink.
    let own = Set(
      survey.networks.flatMap(\.ownLinks) + survey.endpoints.compactMap(\.hostInterface?.description)
        + survey.endpoints.compactMap(\.handedOutLink?.description))
    let links = survey.links.values.filter {
      !$0.flags.contains(.loopback) && $0.flags.contains(.up) && $0.master == nil && !own.contains($0.name)
    }
    let idle = links.sorted { $0.name < $1.name }.flatMap { link in
      AddressFamily.allCases.filter(families.contains).compactMap { family -> (String, Difference)? in
        // Recorded links were reported above.
        guard let path = idleUplink(link.name, link.index, family, survey.host) else { return nil }
        return (
          link.name,
          Difference(
            .forwarding,
            isOneForAll(family)
              ? "\(link.name) forwards \(family) to more than our networks (\(path)): it was added after them"
              : "\(link.name) does not forward \(family) to our networks (\(path)): it was added after them")
        )
      }
    }
    // Another record's bridge is not an uplink.
    let others = idle.isEmpty ? [:] : (try? firewall.othersBridges()) ?? [:]
    return idle.filter { others[$0.0] == nil }.map(\.1)
  }

  /// Unrecorded ports of our own bridges that are named like ours. Ports of an adopted bridge belong to its owner.
  ///
  /// A port made after the records were read is included, but not at a second check, whose records are newer than this
  /// list of links: a port is recorded before it is made.
  func strayPorts(_ survey: Survey) -> [(index: Int32, difference: Difference)] {
    let known = Set(survey.endpoints.compactMap(\.hostInterface?.description))
    var bridges: [Int32: (NetworkRecord, String)] = [:]
    for network in survey.networks where !network.adoptsBridge {
      for name in [network.bridge].compactMap(\.self) + (network.furtherBridges ?? []).map(\.name) {
        if let link = survey.links["\(name)"] { bridges[link.index] = (network, "\(name)") }
      }
    }
    let strays = survey.links.values.filter { link in
      link.kind == "veth" && Self.isPortName(link.name) && !known.contains(link.name)
    }
    return strays.sorted { $0.name < $1.name }.compactMap { link in
      guard let (network, bridge) = link.master.flatMap({ bridges[$0] }) else { return nil }
      return (
        link.index,
        Difference(
          .strayPort, network: network.name, "\(link.name) is on bridge \(bridge), but belongs to no container")
      )
    }
  }

  private static func isPortName(_ name: String) -> Bool {
    name.utf8.count == 12 && name.hasPrefix("veth")
      && name.dropFirst(4).utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  /// Whether a container that is not attached in mode host is recorded as being in the host's namespace.
  func isInTheHosts(_ sandbox: SandboxRecord) -> Bool {
    sandbox.sandboxID != Self.hostSandbox && sandbox.namespaceInode == host.identity.inode
  }

  func container(
    _ sandbox: SandboxRecord, _ survey: Survey, looksInside: Bool
  ) throws(NetworkError) -> [Difference] {
    guard sandbox.sandboxID != Self.hostSandbox else { return [] }
    let own = (survey.endpointsBySandbox[sandbox.sandboxID] ?? []).filter { $0.phase == .ready }
    if sandbox.handsOutLink == true { return handedOutDifferences(sandbox, own, survey) }
    if isInTheHosts(sandbox) {
      guard looksInside else { return [] }
      let brought = own.map { endpoint in
        "\(endpoint.interface) with \(endpoint.addresses.map(\.description).joined(separator: " and "))"
      }
      return [
        Difference(
          .hostNamespace, network: own.first?.networkName ?? "", container: sandbox.container,
          "\"\(sandbox.container)\" is recorded as being in the host's own namespace"
            + (brought.isEmpty ? "" : ", where it has \(brought.joined(separator: ", "))"))
      ]
    }
    if sandbox.namespacePath == nil, namespaces.withLock({ $0[sandbox.sandboxID] }) == nil {
      // A namespace that another live process holds is that process's concern. If our links still exist, an unrecorded
      // process holds it. An endpoint without a port on the host shows nothing here.
      let ports = own.compactMap(\.hostInterface?.description)
      let isHeldElsewhere = isAlive(sandbox.owner) && (sandbox.owner != store.token || ports.isEmpty)
      let hasLinks = !ports.isEmpty && ports.allSatisfy { survey.links[$0] != nil }
      if isHeldElsewhere || hasLinks { return [] }
    }
    if !looksInside, namespaces.withLock({ $0[sandbox.sandboxID] }) != nil { return [] }
    let namespace: NetworkNamespace
    let difference = { (kind: Difference.Kind, what: String) in
      [Difference(kind, network: own.first?.networkName ?? "", container: sandbox.container, what)]
    }
    switch try find(sandbox) {
    case .seen(let found): namespace = found
    case .elsewhere: return []
    // In doubt it counts as alive.
    case .unseen: return difference(.namespaceUnseen, Self.unseen(sandbox))
    case .gone: return difference(.namespaceGone, "the namespace of \"\(sandbox.container)\" is gone")
    }
    guard looksInside, !sandbox.isSharer else { return [] }
    var list: [Difference] = []
    let known = own.filter { endpoint in survey.network(endpoint.networkID).map(knows) ?? true }
    for (endpoint, kind, what) in try namespace.missing(known) {
      list.append(
        Difference(
          kind, network: endpoint.networkName, container: sandbox.container,
          "\(endpoint.interface) of \"\(sandbox.container)\" \(what)"))
    }
    return list
  }
}
