import Glibc

/// The limit of this process's open descriptors.
package enum OpenFiles {
  /// Raises the soft limit to the hard limit (getrlimit(2)). The soft limit protects programs that use select(2), and
  /// child processes inherit it: call this only in programs that start none.
  ///
  /// - Returns: The limit from now on.
  @discardableResult
  package static func raiseLimit() -> UInt {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return 0 }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(resource, &limit)
    _ = unsafe getrlimit(resource, &limit)
    return UInt(limit.rlim_cur)
  }
}
