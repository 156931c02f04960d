package import ContainerNetworking
package import SystemPackage

/// The input that an engine gives to a program.
package enum ProgramInput {
  /// A configuration is some hundred bytes, and a list of ten thousand containers a megabyte.
  private static let limit = 64 << 20

  /// All that a file has.
  ///
  /// - Parameters:
  ///   - file: The file.
  ///   - name: What messages call it.
  /// - Throws: `.kernelRefused` when it cannot be read; `.invalidValue` when it has no end.
  package static func read(_ file: FileDescriptor, _ name: String) throws(NetworkError) -> [UInt8] {
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while input.count <= limit {
      let count: Int
      do { count = try unsafe buffer.withUnsafeMutableBytes { try unsafe file.read(into: $0) } } catch {
        throw NetworkError(
          .kernelRefused, operation: "read \(name)",
          kernel: KernelReport(errno: error as? Errno ?? .ioError, request: "read"))
      }
      guard count > 0 else { return input }
      input += buffer[..<count]
    }
    throw NetworkError(
      .invalidValue, operation: "read \(name)", reason: "it is longer than the limit of \(limit) bytes")
  }
}
