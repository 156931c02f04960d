/// What programs of this package say of themselves.
package enum Product {
  package static let version = "0.1.0"

  /// Where the record is kept unless said.
  package static let stateDirectory = "/var/lib/containernetworking"

  /// The target triple of the programs, as LLVM writes it.
  #if arch(x86_64)
    package static let target = "x86_64-unknown-linux-gnu"
  #elseif arch(arm64)
    package static let target = "aarch64-unknown-linux-gnu"
  #else
    package static let target = "unknown-linux-gnu"
  #endif
}
