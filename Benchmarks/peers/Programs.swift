import ContainerNetworking
import Playground
import SystemPackage

/// What contenders that are programs have in common: a host, files, and a way to start them there.
struct Programs: Sendable {
  let world: Playground
  let directory: FilePath

  init(_ name: String) throws {
    world = try Playground()
    directory = try TemporaryDirectory.make("peers-\(name)")
  }

  /// Runs a program in the host's namespace; what it is given and what it says are files.
  ///
  /// - Throws: What it wrote, when it fails.
  @discardableResult
  func run(
    _ program: String, _ arguments: [String] = [], environment: [String]? = nil, input: String? = nil
  ) throws -> String {
    let (inputPath, outputPath) = (directory.appending("input"), directory.appending("output"))
    if let input { try write(input, to: inputPath) }
    let inputFile = try FileDescriptor.open(input == nil ? "/dev/null" : inputPath, .readOnly, options: .closeOnExec)
    defer { try? inputFile.close() }
    let output = try FileDescriptor.open(
      outputPath, .readWrite, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
    defer { try? output.close() }
    var command = Command(program, arguments, environment: environment)
    command.input = inputFile.rawValue
    command.output = output.rawValue
    command.error = output.rawValue
    command.endsWithParent = true
    let status = try world.host.spawn(command).wait(timeoutMilliseconds: 60_000)
    let text = try read(output)
    guard status == .exited(0) else {
      throw NetworkError(.kernelRefused, operation: "run \(program)", reason: "\(status): \(text)")
    }
    return text
  }

  func write(_ text: String, to path: FilePath) throws {
    let file = try FileDescriptor.open(
      path, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
    try file.closeAfter { _ = try file.writeAll(text.utf8) }
  }

  private func read(_ file: FileDescriptor) throws -> String {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(fromAbsoluteOffset: 0, into: $0) }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  func finish() { TemporaryDirectory.remove(directory) }

  /// The first of these that is there.
  static func find(_ paths: String...) -> String? { paths.first { TemporaryDirectory.exists(FilePath($0)) } }
}
