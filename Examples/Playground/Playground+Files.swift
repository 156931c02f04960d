public import ContainerNetworking
import Glibc
public import SystemPackage

extension Playground {
  /// Creates a directory for containers' files, which the example's end removes. Directories of killed examples are
  /// removed on the occasion.
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

  /// Removes an empty directory; one of containers' files is empty once they are detached.
  static func remove(_ path: FilePath) { _ = unsafe rmdir(path.string) }

  /// Prints whether a ping from a container, which sees its own files, is answered.
  ///
  /// - Throws: `.replyLost` without an answer.
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
