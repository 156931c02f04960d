import ContainerNetworking
import Foundation
import Testing

/// A host with a record of its own, and netavark's command line as podman calls it.
final class NetavarkWorld: EngineWorld {
  /// What the program printed, and its exit code.
  struct Answer {
    var code: Int32
    var output: String

    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }
    /// The text of an error; empty for none.
    var error: String { json["error"] as? String ?? "" }

    /// The addresses of one network's interface.
    func addresses(_ network: String = "blue", _ interface: String = "eth0") -> [String] {
      let interfaces = (json[network] as? [String: Any])?["interfaces"] as? [String: Any]
      let subnets = (interfaces?[interface] as? [String: Any])?["subnets"] as? [[String: Any]]
      return subnets?.compactMap { $0["ipnet"] as? String } ?? []
    }
  }

  /// A network as podman describes it.
  static func network(
    _ name: String = "blue", _ subnet: String = "10.90.0.0/24", with more: [String: Any] = [:]
  ) -> [String: Any] {
    [
      "name": name, "id": String(repeating: "7", count: 64), "driver": "bridge", "network_interface": "br-\(name)",
      "internal": false, "ipv6_enabled": false, "dns_enabled": false,
      "subnets": [["subnet": subnet, "gateway": gateway(subnet)]],
    ].merging(more) { $1 }
  }

  private static func gateway(_ subnet: String) -> String {
    let base = subnet.prefix { $0 != "/" }
    return base.contains(":") ? "\(base)1" : base.split(separator: ".").dropLast().joined(separator: ".") + ".1"
  }

  /// What podman says of a container on networks.
  ///
  /// - Parameters:
  ///   - networks: The networks.
  ///   - own: What it asks for on each; eth0 and so on, unless said.
  ///   - isList: In the later form.
  static func request(
    _ container: String = "c1", on networks: [[String: Any]] = [network()], own: [[String: Any]] = [],
    isList: Bool = false, with more: [String: Any] = [:]
  ) -> [String: Any] {
    var known: [String: Any] = [:]
    var map: [String: Any] = [:]
    var list: [[String: Any]] = []
    for (index, network) in networks.enumerated() {
      let name = network["name"] as? String ?? ""
      var options: [String: Any] = ["interface_name": "eth\(index)"]
      if index < own.count { options.merge(own[index]) { $1 } }
      known[name] = network
      map[name] = options
      list.append(options.merging(["network_name": name]) { $1 })
    }
    return [
      "container_id": container, "container_name": "\(container)-name", "networks": isList ? list as Any : map as Any,
      "network_info": known,
    ].merging(more) { $1 }
  }

  /// How podman calls it: `--config` and what follows stands before the verb.
  static let flags = ["--config", "/run/nowhere", "--rootless=false", "--aardvark-binary=/nowhere/aardvark-dns"]

  /// Calls a verb for a container.
  @discardableResult
  func call(
    _ verb: String, _ request: [String: Any], flags: [String] = flags, _ environment: [String: String?] = [:]
  ) throws -> Answer {
    let container = request["container_id"] as? String ?? ""
    return try call(
      flags + [verb, namespace(container).path.string], JSONSerialization.data(withJSONObject: request), environment)
  }

  func call(_ arguments: [String], _ input: Data = Data(), _ environment: [String: String?] = [:]) throws -> Answer {
    let (code, output) = try finish(start(arguments, input, environment))
    return Answer(code: code, output: output)
  }

  func start(
    _ arguments: [String], _ input: Data, _ environment: [String: String?] = [:]
  ) throws -> (process: Process, output: Pipe) {
    // Names have a suite of their own.
    try start("cnet-netavark", arguments, ["CNET_NAME_SERVER": "none"].merging(environment) { $1 }, input)
  }
}
