public import ContainerNetworking
import FoundationEssentials

/// Records to fill stores with. They are read from the text that a store would have of them.
public enum Samples {
  /// The endpoint of a container `c<index>` on the default network.
  public static func endpoint(_ index: Int, phase: Phase = .ready) throws -> Endpoint {
    let digits = String(index, radix: 16)
    let id = String(repeating: "0", count: 64 - digits.count) + digits
    let text = """
      {"id": "\(id)", "networkID": "\(String(repeating: "ab", count: 32))", "networkName": "bridge",
       "container": "c\(index)", "sandboxID": "\(String(id.reversed()))", "interface": "eth0",
       "hostInterface": "cn\(digits)", "macAddress": "02:42:ac:11:00:02", "addresses": ["10.\(index >> 16 & 255).\(index >> 8 & 255).\(index & 255)/8"],
       "staticAddresses": [], "gateways": ["10.255.255.254"], "gatewayPriority": 0, "aliases": ["web", "c\(index)"],
       "ports": [{"hostPort": 8080, "containerPort": 80, "transport": "tcp", "isEphemeral": false}],
       "phase": "\(phase.rawValue)", "owner": "0123456789abcdef0123456789abcdef"}
      """
    return try JSONDecoder().decode(Endpoint.self, from: Data(text.utf8))
  }

  /// A running change of an endpoint's ports.
  public static func portChange() throws -> PortChange {
    let text = #"{"ports": [], "phase": "creating", "owner": "0123456789abcdef0123456789abcdef"}"#
    return try JSONDecoder().decode(PortChange.self, from: Data(text.utf8))
  }

  /// The host's record, with a number in it.
  public static func host(_ number: Int) throws -> HostRecord {
    let text = #"{"stamp": "sample", "sysctls": {"number": "\#(number)"}, "uplinks": []}"#
    return try JSONDecoder().decode(HostRecord.self, from: Data(text.utf8))
  }

  /// A network with a subnet of each family.
  public static func network(_ name: String) throws -> NetworkRecord {
    let text = """
      {"id": "\(String(repeating: "ab", count: 32))", "name": "\(name)", "created": 1767225600123456789, "driver": "bridge",
       "bridge": "cn0", "adoptsBridge": false, "subnets": [
         {"subnet": "172.18.0.0/16", "gateway": "172.18.0.1", "auxiliaryAddresses": {"router": "172.18.0.9"}},
         {"subnet": "fd00::/64", "gateway": "fd00::1", "auxiliaryAddresses": {}}],
       "isInternal": false, "mtu": 1500, "policy": \(try policy), "interfacePrefix": "eth", "options": {"a": "b"},
       "labels": {"ä": "\\"quoted\\"\\n"}, "phase": "ready", "owner": ""}
      """
    return try JSONDecoder().decode(NetworkRecord.self, from: Data(text.utf8))
  }

  private static var policy: String {
    get throws { String(decoding: try JSONEncoder().encode(NetworkPolicy()), as: UTF8.self) }
  }

  /// The sandbox of a container.
  public static func sandbox(_ container: String) throws -> SandboxRecord {
    let text = """
      {"container": "\(container)", "mode": \(try mode), "sandboxID": "\(String(repeating: "cd", count: 32))",
       "namespacePath": "/run/netns/x", "namespaceInode": 18446744073709551615, "namespaceCookie": 4096,
       "viewpoint": "mnt:[4026531841] pid:[4026531836]", "ownsNamespace": true, "warnings": [],
       "phase": "stopped", "owner": ""}
      """
    return try JSONDecoder().decode(SandboxRecord.self, from: Data(text.utf8))
  }

  private static var mode: String {
    get throws { String(decoding: try JSONEncoder().encode(NetworkMode.bridge), as: UTF8.self) }
  }

  /// Where a pool stands.
  public static func pool() throws -> PoolRecord {
    let text = """
      {"networkID": "\(String(repeating: "ab", count: 32))", "family": 10, "cursor": "fd00::7", "resting": ["fd00::5"]}
      """
    return try JSONDecoder().decode(PoolRecord.self, from: Data(text.utf8))
  }
}
