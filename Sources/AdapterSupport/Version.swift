/// What is released together: the products, the tool and the plugin.
package enum Release {
  /// The one place of the version number (SemVer 2.0.0). The newest entry of CHANGELOG.md has the same.
  package static let version = "0.1.0"
}
