import ContainerNetworking
import Synchronization
import SystemPackage

/// The plugins of the Container Network Interface: bridge with host-local, portmap, firewall, one program each.
final class CNIChain: NetworkTool {
  private let directory: String
  private static let plugins = ["bridge", "portmap", "firewall"]
  /// What the last plugin said of each container, which a runtime keeps for the way back.
  private let results = Mutex<[Int: String]>([:])

  init?() {
    guard let bridge = Programs.find("/usr/lib/cni/bridge", "/opt/cni/bin/bridge") else { return nil }
    directory = FilePath(bridge).removingLastComponent().string
  }

  func attach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws {
    var result: String?
    for plugin in Self.plugins { result = try run("ADD", plugin, number, namespace, programs, previous: result) }
    let last = result
    results.withLock { $0[number] = last }
  }

  func detach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws {
    let previous = results.withLock { $0.removeValue(forKey: number) }
    for plugin in Self.plugins.reversed() {
      _ = try run("DEL", plugin, number, namespace, programs, previous: previous)
    }
  }

  private func run(
    _ verb: String, _ plugin: String, _ number: Int, _ namespace: FilePath, _ programs: Programs, previous: String?
  ) throws -> String {
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
        "CNI_COMMAND=\(verb)", "CNI_CONTAINERID=c\(number)", "CNI_NETNS=\(namespace.string)", "CNI_IFNAME=eth0",
        "CNI_PATH=\(directory)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      ], input: configuration + "}")
  }
}
