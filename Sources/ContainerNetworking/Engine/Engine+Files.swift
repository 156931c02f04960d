import NetworkPrimitives
import SystemPackage

/// Containers' resolv.conf, hosts and hostname: created with the container, rewritten as its networks change, removed
/// with it.
extension Engine {
  /// Creates the files of a container that is about to be ready.
  ///
  /// - Returns: Warnings about options that they cannot express.
  func makeFiles(
    of record: SandboxRecord, _ endpoint: Endpoint?, on network: NetworkRecord?
  ) throws(NetworkError) -> [AttachWarning] {
    guard let directory = record.filesDirectory, !record.isSharer else { return [] }
    var endpoints: [(Endpoint, NetworkRecord)] = []
    if let endpoint, let network { endpoints = [(endpoint, network)] }
    let source = source(of: record, endpoints, asksNetworks: settings.names != nil)
    try ContainerFiles(directory: FilePath(directory)).create(ContainerFileTexts(source))
    return ContainerFileTexts.warnings(source)
  }

  /// Rewrites the files of a sandbox from the current records: endpoints being created included, endpoints being
  /// removed excluded. Each change is recorded before this call, so the last of several includes all.
  func refreshFiles(ofSandbox id: String) throws(NetworkError) {
    let known = try look { state in state.members(of: id).filter { $0.filesDirectory != nil } }
    // The namespace's owner has more data than the containers that joined it.
    if let record = known.first(where: { !$0.isSharer }) ?? known.first { try refreshFiles(of: record) }
  }

  func refreshFiles(of record: SandboxRecord) throws(NetworkError) {
    guard let directory = record.filesDirectory else { return }
    let files = ContainerFiles(directory: FilePath(directory))
    try Directories.make(FilePath(directory))
    try files.exclusively { () throws(NetworkError) in
      let endpoints = try look { state in
        record.sandboxID == Self.hostSandbox
          ? []
          : state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase == .ready || $0.phase == .creating }
            .compactMap { endpoint in state.networks[endpoint.networkID].map { (endpoint, $0) } }
      }
      let asksNetworks = settings.names == nil ? try files.asks(Self.nameServers(look { $0.networks })) : true
      try files.update(ContainerFileTexts(source(of: record, endpoints, asksNetworks: asksNetworks)))
    }
  }

  /// The name server addresses of all networks.
  private static func nameServers(_ networks: [String: NetworkRecord]) -> Set<IPAddress> {
    let served = networks.values.filter { $0.servesNamesAt == .gateway }
    return Set(served.flatMap(\.bridgeGateways)).union([.v4(NetworkRecord.innerNameServer)])
  }

  /// - Parameter asksNetworks: Whether it asks its networks' own name servers. A container that got them from a
  ///   controller with a name service keeps them, whichever controller changes its networks.
  private func source(
    of record: SandboxRecord, _ endpoints: [(Endpoint, NetworkRecord)], asksNetworks: Bool
  ) -> ContainerFileTexts.Source {
    let paths = settings.hostFiles
    let texts = ContainerFileTexts.HostTexts(
      resolvConf: HostFiles.text(paths.resolvConf) ?? "",
      upstreamResolvConf: HostFiles.text(paths.upstreamResolvConf) ?? "",
      hosts: record.sandboxID == Self.hostSandbox ? HostFiles.text(paths.hosts) ?? "" : "",
      hostname: record.hostname == nil ? HostFiles.text(paths.hostname) ?? "" : "")
    return ContainerFileTexts.Source(
      record: record, endpoints: endpoints, hasService: asksNetworks, hostGateways: settings.hostGateways,
      resolvers: settings.resolvers, host: texts)
  }

  /// Removes the files of a container, unless other containers read them.
  func removeFiles(of record: SandboxRecord) -> [NetworkError] {
    guard let directory = record.filesDirectory else { return [] }
    return attempt { () throws(NetworkError) in try ContainerFiles(directory: FilePath(directory)).remove() }
  }

  /// Restores the files of a container, unless it was detached meanwhile.
  func restoreFiles(of record: SandboxRecord) throws(NetworkError) {
    try refreshFiles(of: record)
    let isStillThere = try look { state in
      state.sandboxes.values.contains { $0.filesDirectory == record.filesDirectory && $0.phase != .removing }
    }
    if !isStillThere { try removeFiles(of: record).throwLeftovers("remove the files of \"\(record.container)\"") }
  }

  // MARK: - Differences

  /// The missing files of a container.
  func fileDifference(_ record: SandboxRecord) throws(NetworkError) -> [Difference] {
    guard let directory = record.filesDirectory, !record.isSharer else { return [] }
    let missing = try ContainerFiles(directory: FilePath(directory)).missing()
    guard !missing.isEmpty else { return [] }
    return [
      Difference(
        .filesMissing, container: record.container,
        "\(missing.joined(separator: ", ")) of \"\(record.container)\" in \(directory) is gone")
    ]
  }

  func strayDirectories() throws(NetworkError) -> [Difference] {
    try strayFiles().map { Difference(.strayFiles, "\($0) has the files of a container that does not exist") }
  }

  /// Directories of unrecorded containers. They are listed before the records are read, and a record is written before
  /// its directory is created.
  func strayFiles() throws(NetworkError) -> [FilePath] {
    guard let directory = settings.filesDirectory else { return [] }
    let found = try Directories.names(in: directory).filter(Self.isID)
    guard !found.isEmpty else { return [] }
    let known = try look { state in Set(state.sandboxes.values.compactMap(\.filesDirectory)) }
    return found.sorted().map { directory.appending($0) }.filter { !known.contains($0.string) }
  }

  /// 64 hexadecimal digits: no other name in the directory is ours.
  private static func isID(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
}

extension EngineState {
  /// Whether a remaining container reads the same files as this one.
  func sharesFiles(_ record: SandboxRecord) -> Bool {
    guard let directory = record.filesDirectory else { return false }
    return members(of: record.sandboxID).contains {
      $0.container != record.container && $0.filesDirectory == directory && $0.phase != .removing
    }
  }
}
