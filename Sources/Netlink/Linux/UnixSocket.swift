import CContainerNetworking
package import NetworkPrimitives
package import SystemPackage

/// File-system sockets (unix(7)), for communication between processes of one machine.
package enum UnixSocket {
  /// A non-blocking socket that listens at a name in a directory, for this user alone. An existing file of that name is
  /// removed: the caller has ensured that it is unused.
  package static func listen(in directory: FilePath, _ name: String) throws(NetworkError) -> FileDescriptor {
    let result = unsafe cn_unix_listen(directory.string, name)
    return FileDescriptor(rawValue: try check(result, "bind", "listen at \(directory.appending(name))"))
  }

  /// A socket connected to the one of that name.
  ///
  /// - Parameter timeout: The limit in milliseconds for each connect, read and write.
  package static func connect(
    to name: String, in directory: FilePath, timeout: Int32
  ) throws(NetworkError) -> FileDescriptor {
    let result = unsafe cn_unix_connect(directory.string, name, timeout)
    return FileDescriptor(rawValue: try check(result, "connect", "connect to \(directory.appending(name))"))
  }
}
