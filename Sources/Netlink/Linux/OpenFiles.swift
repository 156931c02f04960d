import Glibc

/// How many descriptors this process may have.
package enum OpenFiles {
  /// Takes all that the machine's owner allows (the hard limit, getrlimit(2)). The soft limit is for programs that use
  /// select(2), and programs that this process starts inherit it: for those that start none.
  ///
  /// - Returns: How many there may be now.
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
