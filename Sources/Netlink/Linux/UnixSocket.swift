import CContainerNetworking
package import NetworkPrimitives
package import SystemPackage

/// Sockets of the file system (unix(7)), for processes of one machine that speak to each other.
package enum UnixSocket {
  /// A socket that listens under a name in a directory, for the user alone, and does not block. What had the name is
  /// removed: the caller has seen to it that nobody uses it.
  package static func listen(in directory: FilePath, _ name: String) throws(NetworkError) -> FileDescriptor {
    let result = unsafe cn_unix_listen(directory.string, name)
    return FileDescriptor(rawValue: try check(result, "bind", "listen at \(directory.appending(name))"))
  }

  /// A socket that is connected to the one of that name.
  ///
  /// - Parameter timeout: How long it may take, milliseconds, to connect, to read and to write, each.
  package static func connect(
    to name: String, in directory: FilePath, timeout: Int32
  ) throws(NetworkError) -> FileDescriptor {
    let result = unsafe cn_unix_connect(directory.string, name, timeout)
    return FileDescriptor(rawValue: try check(result, "connect", "connect to \(directory.appending(name))"))
  }
}
