import ContainerNetworking
import SystemPackage

/// The plugins of the Container Network Interface: bridge with host-local, portmap, firewall, one program each.
@MainActor final class CNIChain: Contender {
  let name = "CNI bridge+portmap+firewall"
  let counts: [Int]
  let rounds: Int
  private let directory: String
  private let programs: Programs
  private var namespaces: [Int: NetworkNamespace] = [:]

  init?(upTo limit: Int, rounds: Int) throws {
    guard let bridge = Programs.find("/usr/lib/cni/bridge", "/opt/cni/bin/bridge") else { return nil }
    directory = FilePath(bridge).removingLastComponent().string
    self.rounds = rounds
    counts = [1, 100, 500, 1_000].filter { $0 <= limit }
    programs = try Programs("cni")
  }

  func makeContainer(_ number: Int) throws { namespaces[number] = try .create() }

  func attach(_ number: Int) throws {
    var result: String?
    for plugin in Self.plugins { result = try run("ADD", plugin, number, previous: result) }
    results[number] = result
  }

  func detach(_ number: Int) throws {
    for plugin in Self.plugins.reversed() { _ = try run("DEL", plugin, number, previous: results[number]) }
    results[number] = nil
    namespaces[number] = nil
  }

  private static let plugins = ["bridge", "portmap", "firewall"]
  /// What the last plugin said, which a runtime keeps for the way back.
  private var results: [Int: String] = [:]

  private func run(_ verb: String, _ plugin: String, _ number: Int, previous: String?) throws -> String? {
    guard let namespace = namespaces[number] else { return nil }
    var configuration = "{\"cniVersion\":\"0.4.0\",\"name\":\"bench\",\"type\":\"\(plugin)\""
    switch plugin {
    case "bridge":
      configuration += """
        ,"bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"ipam":{"type":"host-local",\
        "dataDir":"\(programs.directory.appending("ipam"))","routes":[{"dst":"0.0.0.0/0"}],\
        "ranges":[[{"subnet":"10.88.0.0/16"}]]}
        """
    case "portmap":
      configuration += """
        ,"runtimeConfig":{"portMappings":[{"hostPort":\(Numbering.port(number)),"containerPort":80,"protocol":"tcp"}]}
        """
    default: break
    }
    if let previous { configuration += ",\"prevResult\":\(previous)" }
    return try programs.run(
      "\(directory)/\(plugin)",
      environment: [
        "CNI_COMMAND=\(verb)", "CNI_CONTAINERID=c\(number)", "CNI_NETNS=\(namespace.path.string)", "CNI_IFNAME=eth0",
        "CNI_PATH=\(directory)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      ], input: configuration + "}")
  }

  func finish() { programs.finish() }
}
