import ContainerNetworking
import Glibc

/// The result of a call of the floor's C.
///
/// - Throws: The refusal that it tells of.
@discardableResult
func check<Value: FixedWidthInteger & SignedInteger>(
  _ result: Value, _ operation: String = "measure the floor"
) throws(NetworkError) -> Value {
  guard result < 0 else { return result }
  throw NetworkError(.kernelRefused, operation: operation, reason: "errno \(-result)")
}

extension NetworkNamespace {
  /// A descriptor of it that stays open.
  func duplicate() throws(NetworkError) -> Int32 {
    try check(fcntl(handle.descriptor, F_DUPFD_CLOEXEC, 0), "keep the namespace")
  }
}
