import ContainerNetworking
import Foundation
import Testing

/// A host with a record of its own, containers' namespaces, and the CNI plugin as a runtime calls it.
final class CNIWorld: EngineWorld {
  /// What the plugin printed, and its exit code.
  struct Answer {
    var code: Int32
    var output: String

    /// The output as JSON; an empty object for none.
    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
    }
    /// The code of an error.
    var error: Int? { json["code"] as? Int }
    var message: String { json["msg"] as? String ?? "" }
    var addresses: [String] { ((json["ips"] as? [[String: Any]]) ?? []).compactMap { $0["address"] as? String } }
  }

  /// A list's plugin: a bridge with a subnet, unless said.
  static func configuration(
    _ name: String = "blue", version: String = "1.0.0", type: String = "bridge", subnet: String = "10.80.0.0/24",
    with more: [String: Any] = [:]
  ) -> [String: Any] {
    var fields: [String: Any] = ["cniVersion": version, "name": name, "type": type]
    if type == "bridge" || type == "containernetworking" {
      fields["ipam"] = ["type": "host-local", "ranges": [[["subnet": subnet]]], "routes": [["dst": "0.0.0.0/0"]]]
    }
    if type == "bridge" {
      fields.merge(["bridge": "br-\(name)", "isGateway": true, "ipMasq": true]) { $1 }
    }
    return fields.merging(more) { $1 }
  }

  /// Calls the plugin for the container c1.
  func call(
    _ verb: String, _ configuration: [String: Any], _ environment: [String: String?] = [:]
  ) throws -> Answer {
    try call(verb, "c1", configuration, environment)
  }

  /// Calls the plugin for a container.
  func call(
    _ verb: String, _ container: String, _ configuration: [String: Any], _ environment: [String: String?] = [:]
  ) throws -> Answer {
    let input = try JSONSerialization.data(withJSONObject: configuration)
    let path = try namespace(container).path.string
    return try call(
      [
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": path, "CNI_IFNAME": "eth0",
        "CNI_PATH": Self.products.path,
      ].merging(environment) { $1 }, input)
  }

  /// Calls the plugin with that environment and input.
  func call(_ environment: [String: String?], _ input: Data) throws -> Answer {
    let (code, output) = try finish(start(environment, input))
    return Answer(code: code, output: output)
  }

  /// Starts the plugin on the host.
  func start(_ environment: [String: String?], _ input: Data) throws -> (process: Process, output: Pipe) {
    try start("cnet-cni", [], environment, input)
  }
}
