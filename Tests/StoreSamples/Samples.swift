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

  /// The host's record, with a number in it.
  public static func host(_ number: Int) throws -> HostRecord {
    let text = #"{"stamp": "sample", "sysctls": {"number": "\#(number)"}, "uplinks": []}"#
    return try JSONDecoder().decode(HostRecord.self, from: Data(text.utf8))
  }
}
