import NetworkPrimitives

// One line each for people, much as ip(8) prints it; all fields for a debugger.

extension Link: CustomStringConvertible, CustomDebugStringConvertible {
  /// `3: eth0, veth, up, mtu 1500, 02:42:ac:11:00:02`.
  public var description: String {
    let details = sentence([
      name, kind, flags.contains(.up) ? "up" : "down", "mtu \(mtu)", macAddress?.description,
      master.map { "on link \($0)" },
    ])
    return "\(index): \(details)"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension AssignedAddress: CustomStringConvertible, CustomDebugStringConvertible {
  /// `192.168.50.2/24 on link 3`.
  public var description: String { "\(address) on link \(link)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Route: CustomStringConvertible, CustomDebugStringConvertible {
  /// `0.0.0.0/0 via 192.168.50.1 by link 3`.
  public var description: String {
    "\(destination)\(gateway.map { " via \($0)" } ?? "")\(link.map { " by link \($0)" } ?? "")"
      + "\(metric.map { ", metric \($0)" } ?? "")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Neighbor: CustomStringConvertible, CustomDebugStringConvertible {
  /// `192.168.50.2 on link 3 at 02:42:ac:11:00:02`.
  public var description: String { "\(address) on link \(link)\(macAddress.map { " at \($0)" } ?? "")" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension ForwardingEntry: CustomStringConvertible, CustomDebugStringConvertible {
  /// `02:42:ac:11:00:02 by link 7 to 192.0.2.2`, `02:42:ac:11:00:02 behind link 7`.
  public var description: String {
    guard table == .link else { return "\(macAddress) behind link \(link)" }
    return "\(macAddress) by link \(link)\(destination.map { " to \($0)" } ?? "")"
      + "\(port.map { ", port \($0)" } ?? "")\(identifier.map { ", VNI \($0)" } ?? "")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}
