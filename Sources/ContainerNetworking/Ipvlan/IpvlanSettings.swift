public import Netlink
import NetworkPrimitives

extension IpvlanDriver {
  /// Docker's names of the options; a record has them, too.
  static let modeOption = "ipvlan_mode"
  static let flagOption = "ipvlan_flag"

  static let options: [DriverOption] = [
    DriverOption(modeOption, short: "ipvlan-mode", isText: true) { (_, text) throws(NetworkError) in _ = try mode(text)
    },
    DriverOption(flagOption, short: "ipvlan-flag", isText: true) { (_, text) throws(NetworkError) in _ = try flag(text)
    },
  ]

  /// The mode and flag of a network's ipvlans.
  struct Settings {
    var mode = IpvlanMode.l2
    var flag = IpvlanFlag.bridge

    /// Whether the parent's namespace routes between them.
    var routes: Bool { mode != .l2 }

    /// From options, or from a record: what is not there has its default.
    init(_ texts: [String: String]) throws(NetworkError) {
      if let text = texts[modeOption] { mode = try IpvlanDriver.mode(text) }
      if let text = texts[flagOption] { flag = try IpvlanDriver.flag(text) }
    }

    init(_ network: NetworkRecord) throws(NetworkError) { try self.init(network.driverState ?? [:]) }

    var state: [String: String] { [modeOption: "\(mode)", flagOption: "\(flag)"] }
  }

  static func mode(_ text: String) throws(NetworkError) -> IpvlanMode {
    if let mode = IpvlanMode.allCases.first(where: { "\($0)" == text }) { return mode }
    let known = IpvlanMode.allCases.map { "\($0)" }.joined(separator: ", ")
    throw .invalid("", "\(quoted(text)) is no mode of an ipvlan; there are: \(known)")
  }

  static func flag(_ text: String) throws(NetworkError) -> IpvlanFlag {
    if let flag = IpvlanFlag.allCases.first(where: { "\($0)" == text }) { return flag }
    let known = IpvlanFlag.allCases.map { "\($0)" }.joined(separator: ", ")
    throw .invalid("", "\(quoted(text)) is no flag of an ipvlan; there are: \(known)")
  }
}

extension NetworkRecord {
  /// The mode of its endpoints on the parent; nil unless they are ipvlans.
  public var ipvlanMode: IpvlanMode? {
    driver == .ipvlan ? try? IpvlanDriver.Settings(self).mode : nil
  }

  /// The reachability among its endpoints on the parent; nil unless they are ipvlans.
  public var ipvlanFlag: IpvlanFlag? {
    driver == .ipvlan ? try? IpvlanDriver.Settings(self).flag : nil
  }
}

extension NetworkOptions {
  /// The mode of an ipvlan network's endpoints, among its ``driverOptions``; nil for `l2`, and for a text that names none.
  public var ipvlanMode: IpvlanMode? {
    get { driverOptions[IpvlanDriver.modeOption].flatMap { try? IpvlanDriver.mode($0) } }
    set { driverOptions[IpvlanDriver.modeOption] = newValue.map { "\($0)" } }
  }

  /// The reachability among an ipvlan network's endpoints, among its ``driverOptions``; nil for `bridge`, and for a text that
  /// names none.
  public var ipvlanFlag: IpvlanFlag? {
    get { driverOptions[IpvlanDriver.flagOption].flatMap { try? IpvlanDriver.flag($0) } }
    set { driverOptions[IpvlanDriver.flagOption] = newValue.map { "\($0)" } }
  }
}
