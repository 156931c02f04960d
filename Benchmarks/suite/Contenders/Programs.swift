import BenchmarkKit
import ContainerNetworking
import Dispatch
import Playground
import Synchronization
import SystemPackage

/// What contenders that are programs have in common: a host, files, and a way to start them there.
struct Programs: Sendable {
  let world: Playground
  let directory: FilePath
  private let names = Counter()

  /// - Parameters:
  ///   - name: What its directory is called.
  ///   - parent: The directory of the run.
  init(_ name: String, in parent: FilePath) throws {
    world = try Playground()
    directory = parent.appending(name)
    try Folder.makeDirectory(directory)
  }

  /// Runs a program in the host's namespace; what it is given and what it says are files.
  ///
  /// - Throws: What it wrote, when it fails.
  @discardableResult
  func run(
    _ program: String, _ arguments: [String] = [], environment: [String]? = nil, input: String? = nil
  ) throws -> String {
    let call = names.next()
    let (inputPath, outputPath) = (directory.appending("input\(call)"), directory.appending("output\(call)"))
    defer { for path in [inputPath, outputPath] { Folder.removeFile(path) } }
    if let input { try write(input, to: inputPath) }
    let inputFile = try FileDescriptor.open(input == nil ? "/dev/null" : inputPath, .readOnly, options: .closeOnExec)
    defer { try? inputFile.close() }
    let output = try FileDescriptor.open(
      outputPath, .readWrite, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
    defer { try? output.close() }
    var command = Command(program, arguments, environment: environment)
    command.input = inputFile
    command.output = output
    command.error = output
    command.endsWithParent = true
    let status = try world.host.spawn(command).wait(timeout: .seconds(120))
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

  /// The first of these that is there.
  static func find(_ paths: String...) -> String? { paths.first { Folder.exists(FilePath($0)) } }

  /// Runs a body that blocks once for each of them, all at the same time, and waits for all.
  ///
  /// - Throws: The first failure.
  static func atOnce(_ numbers: [Int], _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failures = Failures()
    let group = DispatchGroup()
    for number in numbers {
      // A queue of its own has a thread of its own.
      DispatchQueue(label: "benchmark.\(number)").async(group: group) {
        do { try body(number) } catch { failures.list.withLock { $0.append(error) } }
      }
    }
    group.wait()
    if let failure = failures.list.withLock({ $0.first }) { throw failure }
  }

  private final class Failures: Sendable {
    let list = Mutex<[any Error]>([])
  }

  private final class Counter: Sendable {
    private let last = Atomic<Int>(0)
    func next() -> Int { last.add(1, ordering: .relaxed).newValue }
  }
}
