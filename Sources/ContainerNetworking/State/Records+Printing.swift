import NetworkPrimitives

// One line each for people; all fields for a debugger.

extension NetworkRecord: CustomStringConvertible, CustomDebugStringConvertible {
  /// `network blue (bridge br-4f3a2b1c9d8e): 192.168.50.0/24, internal`.
  public var description: String {
    let link = (bridge ?? parent).map { " \($0)" } ?? ""
    let details = sentence(
      subnets.map(\.subnet.description)
        + [
          isInternal ? "internal" : nil, hasGrown ? "\(furtherBridges?.count ?? 0) further bridges" : nil, phase.remark,
        ])
    return "network \(name) (\(driver)\(link))\(details.isEmpty ? "" : ": \(details)")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension SubnetRecord: CustomStringConvertible, CustomDebugStringConvertible {
  /// `192.168.50.0/24, range 192.168.50.128/25, gateway 192.168.50.1`.
  public var description: String {
    sentence([
      "\(subnet)", ipRange.map { "range \($0)" }, gateway.map { "gateway \($0)" },
      auxiliaryAddresses.isEmpty ? nil : "\(auxiliaryAddresses.count) set aside",
    ])
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension PoolRecord: CustomStringConvertible, CustomDebugStringConvertible {
  /// `IPv4 pool of network 4f3a2b1c9d8e: last 192.168.50.9, 2 at rest`.
  public var description: String {
    let details = sentence([cursor.map { "last \($0)" }, resting.isEmpty ? nil : "\(resting.count) at rest"])
    return "\(family) pool of network \(networkID.prefix(12))\(details.isEmpty ? "" : ": \(details)")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Endpoint: CustomStringConvertible, CustomDebugStringConvertible {
  /// `web on blue: eth0 192.168.50.2/24, 0.0.0.0:8080->80/tcp`.
  public var description: String {
    let interface = "\(interface) \(addresses.map(\.description).joined(separator: " "))"
    return "\(container) on \(networkName): \(sentence([interface] + ports.map(\.description) + [phase.remark]))"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension SandboxRecord: CustomStringConvertible, CustomDebugStringConvertible {
  /// `container web (blue)`, with the path of its namespace if it has one.
  public var description: String {
    "container \(container) (\(mode))\(namespacePath.map { " in \($0)" } ?? "")\(phase.remark.map { ", \($0)" } ?? "")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension HostRecord: CustomStringConvertible, CustomDebugStringConvertible {
  /// `host STAMP: 3 settings, 1 uplink`.
  public var description: String {
    "host \(stamp): \(sentence([count(sysctls.count, "setting"), count(uplinks.count, "uplink")]))"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Uplink: CustomStringConvertible, CustomDebugStringConvertible {
  /// `eth0 (IPv4)`.
  public var description: String { "\(name) (\(family))" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension AdoptedBridge: CustomStringConvertible, CustomDebugStringConvertible {
  /// `up, 10.0.0.1/24`.
  public var description: String { sentence([isUp ? "up" : "down"] + addresses.map(\.description)) }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension FurtherBridge: CustomStringConvertible, CustomDebugStringConvertible {
  /// `br-4f3a2b1c-1`.
  public var description: String { sentence(["\(name)", phase.remark]) }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension PortChange: CustomStringConvertible, CustomDebugStringConvertible {
  /// `creating 0.0.0.0:8080->80/tcp`.
  public var description: String { "\(phase) \(ports.map(\.description).joined(separator: ", "))" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension PublishedPort: CustomDebugStringConvertible {
  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Phase {
  /// The phase, unless it is ready.
  fileprivate var remark: String? { self == .ready ? nil : rawValue }
}

/// A count with its noun: `1 uplink`, `2 uplinks`.
func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }
