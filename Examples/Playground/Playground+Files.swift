public import ContainerNetworking
import Glibc
public import SystemPackage

extension Playground {
  /// Makes a directory for containers' files, which an example's end takes away. Those that others left, who were killed,
  /// are removed by the way.
  public func makeFilesDirectory() throws -> FilePath {
    let path = "/tmp/cn-playground-\(getpid())"
    let script = """
      for left in /tmp/cn-playground-*; do [ -d "/proc/${left##*-}" ] || rm -rf "$left"; done; rm -rf \(path); mkdir \(path)
      """
    guard try busybox("sh", "-c", script, in: host) != nil else {
      throw NetworkError(.permissionDenied, operation: "make directory \(path)", reason: "see who may write in /tmp")
    }
    return FilePath(path)
  }

  /// Removes a directory that is empty, as one of containers' files is once they are detached.
  static func remove(_ path: FilePath) { _ = unsafe rmdir(path.string) }

  /// Prints whether a ping from a container, which sees its own files, is answered.
  ///
  /// - Throws: `.replyLost` when it is not.
  public func showPing(_ title: String, _ name: String, from sandbox: Sandbox) throws {
    var command = Command("busybox", ["ping", "-c", "1", "-W", "4", name])
    command.bindings = sandbox.files?.bindings ?? []
    let (output, status) = try run(command, in: sandbox.namespace, includesErrors: true)
    print("ping \(title) \(name):", output.prefix { $0 != "\n" })
    guard status == .exited(0) else {
      throw NetworkError(.replyLost, operation: "ping \(title) \(name)", reason: "it should be answered: \(output)")
    }
  }
}
