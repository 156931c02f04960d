package import ContainerNetworking
import ContainerNetworkingDNS
import FoundationEssentials
import Glibc
package import SystemPackage

/// The name server of a state directory. Where none runs, one is started, which goes on after this process and ends by
/// itself.
package struct StartedNameService: NameService {
  private let remote: RemoteNameService
  private let server: Command
  private let program: FilePath
  private let log: FilePath

  /// How a server says that it serves.
  package static let greeting = "serving"
  /// How one ends that found another at work (`EX_TEMPFAIL`, sysexits.h).
  package static let busyCode: Int32 = 75

  /// - Parameters:
  ///   - directory: The state directory.
  ///   - program: The program that is the server, by these arguments.
  ///   - arguments: `dns` and what follows.
  ///   - environment: What it has besides this process's.
  package init(
    directory: FilePath, program: FilePath = "/proc/self/exe", arguments: [String], environment: [String: String] = [:]
  ) {
    remote = RemoteNameService(directory: directory)
    log = directory.appending("dns.log")
    self.program = program
    let own = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var server = Command(program.string, arguments, environment: own.map { "\($0)=\($1)" }.sorted())
    server.name = "cnet"
    server.grouping = .ownSession
    // Keeps no file system busy.
    server.directory = "/"
    self.server = server
  }

  package func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    for attempt in 1...3 {
      do throws(NetworkError) { return try remote.serve(network, in: sandboxes) } catch {
        guard error.isOfAbsence, attempt < 3 else { throw error }
      }
      try start()
    }
  }

  package func withdraw(_ network: NetworkRecord) { remote.withdraw(network) }
  package func withdraw(_ sandbox: SandboxRecord) { remote.withdraw(sandbox) }

  package var gatewayPorts: ClosedRange<UInt16>? { remote.gatewayPorts }
  package func check() throws(NetworkError) { try remote.check() }
  package func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    try remote.unserved(networks)
  }

  private func start() throws(NetworkError) {
    let operation = "start a name server"
    var command = server
    let answer: [UInt8]
    let child: ChildProcess
    do {
      let null = try FileDescriptor.open(FilePath("/dev/null"), .readOnly, options: .closeOnExec)
      defer { try? null.close() }
      let log = try FileDescriptor.open(
        log, .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
      defer { try? log.close() }
      let pipe = try FileDescriptor.pipe()
      defer { try? pipe.readEnd.close() }
      (command.input, command.output, command.error) = (null, pipe.writeEnd, log)
      let spawned = Result { try NetworkNamespace.current().spawn(command) }
      try pipe.writeEnd.close()
      child = try spawned.get()
      // A line means that it serves; the end of file, that it does not.
      var buffer = [UInt8](repeating: 0, count: 64)
      let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe pipe.readEnd.read(into: $0) }
      answer = Array(buffer[..<count])
    } catch let error as NetworkError {
      guard error.code == .notFound else { throw error }
      throw NetworkError(
        .notFound, operation: operation,
        reason: "there is no program \(program); put cnet, which answers names, beside this program or in $PATH; "
          + "or switch names off: CNET_NAME_SERVER=none", causes: [error])
    } catch {
      throw NetworkError(
        .kernelRefused, operation: operation,
        kernel: KernelReport(errno: error as? Errno ?? .ioError, request: "open"))
    }
    if !answer.isEmpty { return }
    guard try child.wait(timeout: .seconds(10)) == .exited(Self.busyCode) else {
      throw NetworkError(
        .closed, operation: operation,
        reason: "it ended at once; read the reason in \(log), or switch names off: CNET_NAME_SERVER=none")
    }
    // Another process was faster; its server is asked once it is ready.
    for _ in 0..<1_000 {
      if (try? remote.check()) != nil { return }
      usleep(10_000)
    }
  }
}
