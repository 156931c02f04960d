import Glibc
import NetworkPrimitives
import SystemPackage

/// Returns the result of a shim call if it is not negative; otherwise throws the error for the negative errno.
@discardableResult
func check<Result: SignedInteger>(
  _ result: Result, _ call: String, _ operation: String, remedy: String = ""
) throws(NetworkError) -> Result {
  guard result < 0 else { return result }
  throw systemError(Errno(rawValue: CInt(truncatingIfNeeded: -result)), call, operation, remedy: remedy)
}

/// The result of a C library call that leaves its error in `errno`.
@discardableResult
func check(_ result: CInt, orErrno call: String, _ operation: String) throws(NetworkError) -> CInt {
  guard result < 0 else { return result }
  throw systemError(Errno(rawValue: errno), call, operation)
}

func systemError(_ error: any Error, _ call: String, _ operation: String, remedy: String = "") -> NetworkError {
  let number = error as? Errno ?? .ioError
  let code = NetworkError.Code(number)
  var reason = Remedy.text(for: number, of: call)
  if code == .permissionDenied { reason = remedy.isEmpty ? Remedy.privilege : remedy }
  return NetworkError(code, operation: operation, reason: reason, kernel: KernelReport(errno: number, request: call))
}
