import Glibc
public import Netlink
public import NetworkPrimitives
public import SystemPackage

extension SandboxFiles {
  /// All of the files, each with its place in a container's own root file system. Symbolic links are resolved relative
  /// to that root: none leads outside.
  ///
  /// Creates an empty file at a missing place, because a bind mount needs one.
  ///
  /// - Parameter root: The root file system, an absolute path.
  /// - Throws: `.invalidValue` for a path that is not absolute, and for a loop of links; `.notFound` for a missing
  ///   root; the refusal to create a place, with its path.
  public func bindings(in root: FilePath) throws(NetworkError) -> [FileBinding] {
    guard root.isAbsolute else {
      throw .invalid(
        "bind files in \(quoted(root.string))", "it is not an absolute path; give one, as in /var/lib/me/web/rootfs")
    }
    var placed: [FileBinding] = []
    for binding in bindings {
      placed.append(FileBinding(binding.source, at: try RootFileSystem(root).place(of: binding.target)))
    }
    return placed
  }
}

/// Resolves paths inside another root.
///
/// Unsafe code: paths become C strings for the length of a call; the buffer is an array that outlives it.
struct RootFileSystem {
  let root: FilePath
  /// `MAXSYMLINKS`, linux/namei.h.
  private static let linkLimit = 40

  init(_ root: FilePath) { self.root = root }

  /// The path of a file of the root, with all links resolved; missing parts are created.
  func place(of path: FilePath) throws(NetworkError) -> FilePath {
    let operation = "find \(path) in the root file system \(root)"
    guard unsafe access(root.string, F_OK) == 0 else {
      throw NetworkError(.notFound, operation: operation, reason: "there is no directory \(root)")
    }
    var left = Array(path.components.map(\.string).reversed())
    var inside: [String] = []
    var links = 0
    while let name = left.popLast() {
      if name == "." { continue }
      if name == ".." {
        _ = inside.popLast()
        continue
      }
      let here = root.appending(inside + [name])
      if let target = Self.link(here) {
        links += 1
        guard links <= Self.linkLimit else {
          throw NetworkError(
            .invalidValue, operation: operation, reason: "its symbolic links lead in a circle; remove \(here)")
        }
        if target.isAbsolute { inside = [] }
        left += target.components.map(\.string).reversed()
      } else {
        if !left.isEmpty { try Directories.make(here) }
        inside.append(name)
      }
    }
    let file = root.appending(inside)
    if unsafe access(file.string, F_OK) != 0 { try TextFiles.write("", to: file) }
    return file
  }

  private static func link(_ path: FilePath) -> FilePath? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe readlink(path.string, $0.baseAddress.unsafelyUnwrapped, $0.count)
    }
    return count > 0 ? FilePath(String(decoding: buffer[..<count], as: UTF8.self)) : nil
  }
}

extension FilePath {
  fileprivate func appending(_ names: [String]) -> FilePath {
    names.reduce(self) { $0.appending($1) }
  }
}
