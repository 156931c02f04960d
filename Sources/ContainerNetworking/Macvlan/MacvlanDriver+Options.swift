import Netlink
import NetworkPrimitives

extension MacvlanDriver {
  static let options: [DriverOption] = [
    .parent,
    DriverOption("macvlan_mode", short: "macvlan-mode") { (options, text) throws(NetworkError) in
      options.macvlanMode = try mode(text)
    },
  ]

  static func mode(_ text: String) throws(NetworkError) -> MacvlanMode {
    guard let mode = MacvlanMode.allCases.first(where: { "\($0)" == text }) else {
      let known = MacvlanMode.allCases.map { "\($0)" }.joined(separator: ", ")
      throw .invalid("", "\(quoted(text)) is no mode of a macvlan; there are: \(known)")
    }
    return mode
  }
}
