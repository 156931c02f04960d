import AdapterSupport
import ContainerNetworking
import SystemPackage

/// The settings of the `tuning` plugin's fields, in the container's namespace.
struct Tuning {
  private(set) var sysctls: [(name: String, value: String)] = []
  private(set) var mtu: UInt32?

  init(_ json: JSON) throws(CNIError) {
    var reader = FieldReader()
    for (name, value) in (reader.object("sysctl", of: json)?.fields ?? [:]).sorted(by: { $0.key < $1.key }) {
      // As in sysctl(8), the first separator decides which one is used.
      let path = name.contains("/") ? name : name.replacing(".", with: "/")
      guard path.hasPrefix("net/"), !path.split(separator: "/").contains("..") else {
        reader.fault("sysctl.\(name)", "it is not below net.; others do not belong to a network namespace")
        continue
      }
      sysctls.append((path, value.plain))
    }
    if let mtu = reader.number("mtu", of: json), mtu != 0 {
      if let mtu = UInt32(exactly: mtu) {
        self.mtu = mtu
      } else {
        reader.fault("mtu", "\(mtu) is not a number of bytes")
      }
    }
    if reader.text("mac", of: json)?.isEmpty == false {
      reader.lack(
        "mac",
        "an endpoint sends from the address that it was added with; give it to that plugin, by its capability mac")
    }
    for name in ["promisc", "allmulti"] where reader.flag(name, of: json) == true {
      reader.lack(name, "interfaces of containers receive only their own packets")
    }
    if reader.number("txQLen", of: json).map({ $0 != 0 }) == true {
      reader.lack("txQLen", "a veth pair has no transmit queue")
    }
    try reader.check()
  }
}

extension Plugin {
  /// Applies the configuration's settings, or compares with them.
  func tune() throws(CNIError) -> JSON? {
    let previous = try previousResult()
    let tuning = try Tuning(configuration.json)
    do throws(NetworkError) {
      let namespace = try NetworkNamespace.open(at: FilePath(invocation.namespace))
      if invocation.verb == .add {
        for (name, value) in tuning.sysctls { try namespace.setSysctl(name, to: value) }
        if let mtu = tuning.mtu {
          try namespace.links.setMTU(mtu, of: namespace.links.get(invocation.interface).index)
        }
        return previous
      }
      for (name, value) in tuning.sysctls {
        let present = try namespace.sysctl(name)
        if present != value {
          throw NetworkError(
            .refused, operation: "check \(invocation.namespace)",
            reason: "\(name) is \(present), and the configuration says \(value)")
        }
      }
    } catch {
      guard error.code == .refused, invocation.verb == .check else { throw CNIError(error) }
      throw CNIError(.differs, error.reason)
    }
    return nil
  }
}
