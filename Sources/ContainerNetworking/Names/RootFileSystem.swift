import Glibc
public import Netlink
public import NetworkPrimitives
public import SystemPackage

extension SandboxFiles {
  /// All of the files, each at its place in a root file system of the container's own. Symbolic links are followed as from
  /// inside: none leads out of the root.
  ///
  /// A place that is missing is made, an empty file, for there must be one to bind to.
  ///
  /// - Parameter root: The root file system, an absolute path.
  /// - Throws: `.invalidValue` for a path that is not absolute, and for links that lead in a circle; `.notFound` without the
  ///   root; the refusal to make a place, which names it.
  public func bindings(in root: FilePath) throws(NetworkError) -> [FileBinding] {
    guard root.isAbsolute else {
      throw .invalid(
        "bind files in \(quoted(root.string))", "that is no absolute path; give one, as in /var/lib/me/web/rootfs")
    }
    var placed: [FileBinding] = []
    for binding in bindings {
      placed.append(FileBinding(binding.source, at: try RootFileSystem(root).place(of: binding.target)))
    }
    return placed
  }
}

/// Paths as they are seen from inside of another root.
///
/// Unsafe code: paths become C strings for the length of a call; the buffer is an array that outlives it.
struct RootFileSystem {
  let root: FilePath
  /// `MAXSYMLINKS`, linux/namei.h.
  private static let linkLimit = 40

  init(_ root: FilePath) { self.root = root }

  /// The path of a file of the root, without links on the way; what is missing of it is made.
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
