/// A supported version of the CNI specification: the input is the same in all, the output is not.
enum SpecVersion: String, CaseIterable, Comparable, Sendable {
  case v010 = "0.1.0"
  case v020 = "0.2.0"
  case v030 = "0.3.0"
  case v031 = "0.3.1"
  case v040 = "0.4.0"
  case v100 = "1.0.0"
  case v110 = "1.1.0"

  /// The output version for an input without `cniVersion`: such a configuration is of the first.
  static let unsaid = SpecVersion.v010
  static let newest = SpecVersion.v110

  static func < (left: SpecVersion, right: SpecVersion) -> Bool {
    (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
  }

  /// Reads `cniVersion` of a configuration.
  init(_ text: String) throws(CNIError) {
    guard let version = SpecVersion(rawValue: text) else {
      throw CNIError(
        .incompatibleVersion, "cniVersion \"\(text)\" is not supported",
        details: "there are: \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    self = version
  }
}
