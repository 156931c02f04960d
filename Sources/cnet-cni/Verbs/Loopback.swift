import AdapterSupport
import ContainerNetworking
import SystemPackage

extension Plugin {
  /// Brings `lo` up, which containerd requests before any network. Does not use the record.
  func bringUpLoopback() throws(CNIError) -> JSON? {
    guard invocation.verb == .add || invocation.verb == .check else { return nil }
    let isUp: Bool
    do throws(NetworkError) {
      let namespace = try NetworkNamespace.open(at: FilePath(invocation.namespace))
      let link = try namespace.links.get("lo")
      isUp = link.flags.contains(.up)
      if invocation.verb == .add { try namespace.links.setUp(index: link.index) }
    } catch { throw CNIError(error) }
    guard invocation.verb == .add else {
      guard isUp else { throw CNIError(.differs, "lo is down in \(invocation.namespace)") }
      return nil
    }
    if let previous = configuration.previous { return previous }
    let version = configuration.version
    guard version >= .v030 else {
      return .compact([
        "cniVersion": .text(version.rawValue), "ip4": .compact(["ip": .text("127.0.0.1/8")]),
        "ip6": .compact(["ip": .text("::1/128")]), "dns": .object([:]),
      ])
    }
    let ips = [("4", "127.0.0.1/8"), ("6", "::1/128")].map { family, address -> JSON in
      .compact([
        "version": version < .v100 ? .text(family) : nil, "address": .text(address), "interface": .number(0),
      ])
    }
    return .compact([
      "cniVersion": .text(version.rawValue),
      "interfaces": .list([
        .compact([
          "name": .text("lo"), "mac": .text("00:00:00:00:00:00"), "sandbox": .text(invocation.namespace),
        ])
      ]),
      "ips": .list(ips), "dns": .object([:]),
    ])
  }
}
