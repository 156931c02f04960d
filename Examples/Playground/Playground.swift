public import ContainerNetworking
import SystemPackage

/// A whole world for experiments: a host and a machine outside, joined by a veth pair. Both are network namespaces that
/// vanish with the process, however it ends. Nothing reaches the machine that it runs on.
public struct Playground: Sendable {
  /// The namespace that plays the host; 203.0.113.1 on its `eth0`.
  public let host: NetworkNamespace
  /// The namespace that plays a machine outside; 203.0.113.2.
  public let outside: NetworkNamespace

  /// The host's address for the outside (TEST-NET-3, RFC 5737).
  public static let hostAddress = "203.0.113.1"
  /// The outside's address for the host.
  public static let outsideAddress = "203.0.113.2"
  /// The host's IPv6 address for the outside, in a dual-stack playground (RFC 3849).
  public static let hostIPv6Address = "2001:db8::1"
  /// The outside's IPv6 address for the host.
  public static let outsideIPv6Address = "2001:db8::2"

  /// Whether the host is the machine itself, without an outside.
  public let isMachine: Bool

  /// The playground of an example: of its own, or with `--host` among the arguments the machine itself.
  public init(arguments: [String]) throws(NetworkError) {
    guard arguments.contains("--host") else {
      try self.init()
      return
    }
    self.init(host: try .current(), outside: try .create(), isMachine: true)
  }

  private init(host: NetworkNamespace, outside: NetworkNamespace, isMachine: Bool) {
    self.host = host
    self.outside = outside
    self.isMachine = isMachine
  }

  /// Makes the two and the cable.
  ///
  /// - Parameter isDualStack: Whether they have IPv6 addresses too.
  /// - Throws: `.permissionDenied` without root.
  public init(isDualStack: Bool = false) throws(NetworkError) {
    self.init(host: try .create(), outside: try .create(), isMachine: false)
    let cable = try host.links.createVeth(
      VethEnd(try InterfaceName("eth0")),
      peer: VethEnd(try InterfaceName("eth0"), namespace: outside.handle.descriptor))
    let end = try outside.links.get("eth0")
    let hosts = ["\(Self.hostAddress)/24"] + (isDualStack ? ["\(Self.hostIPv6Address)/64"] : [])
    let outsides = ["\(Self.outsideAddress)/24"] + (isDualStack ? ["\(Self.outsideIPv6Address)/64"] : [])
    try host.addAddresses(hosts, to: cable.index, named: "eth0")
    try outside.addAddresses(outsides, to: end.index, named: "eth0")
    try host.links.setUp(index: cable.index)
    try outside.links.setUp(index: end.index)
    guard isDualStack else { return }
    try host.awaitAddresses(of: cable.index)
    try outside.awaitAddresses(of: end.index)
  }

  /// Runs a command of busybox inside a namespace and returns its output; nil when it failed.
  public func busybox(_ arguments: String..., in namespace: NetworkNamespace) throws -> String? {
    try output(of: Command("busybox", arguments), in: namespace)
  }

  /// Runs a program inside a namespace and returns its output; nil when it failed.
  public func output(_ program: String, _ arguments: String..., in namespace: NetworkNamespace) throws -> String? {
    try output(of: Command(program, arguments), in: namespace)
  }

  private func output(of command: Command, in namespace: NetworkNamespace) throws -> String? {
    let (output, status) = try run(command, in: namespace)
    return status == .exited(0) ? output : nil
  }

  /// Runs a program inside a namespace, which ends with this one, and returns its output and exit.
  ///
  /// - Parameter includesErrors: Whether the output includes standard error.
  public func run(
    _ command: Command, in namespace: NetworkNamespace, includesErrors: Bool = false
  ) throws -> (output: String, status: ProcessExit) {
    var command = command
    let pipe = try FileDescriptor.pipe()
    defer { try? pipe.readEnd.close() }
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
    defer { try? null.close() }
    command.input = null
    command.output = pipe.writeEnd
    command.error = includesErrors ? pipe.writeEnd : null
    command.endsWithParent = true
    let child: ChildProcess
    do { child = try namespace.spawn(command) } catch {
      try? pipe.writeEnd.close()
      throw error
    }
    try pipe.writeEnd.close()
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = try unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe pipe.readEnd.read(into: bytes) }
      if count == 0 { break }
      output += buffer[..<count]
    }
    return (String(decoding: output, as: UTF8.self), try child.wait(timeout: .seconds(20)))
  }

  /// Prints a process's view inside: its interfaces with addresses, MAC, MTU and counters.
  public func show(_ title: String, _ namespace: NetworkNamespace) throws {
    print("── \(title): ifconfig")
    print(try busybox("ifconfig", "-a", in: namespace) ?? "")
  }

  /// Prints whether a ping from the namespace is answered.
  ///
  /// - Throws: `.replyLost` for a missing answer, or `.refused` for an unexpected one.
  public func showPing(
    _ title: String, _ address: String, from namespace: NetworkNamespace, isAnswered: Bool = true
  ) throws {
    let isSeen = try pings(address, from: namespace, within: isAnswered ? 4 : 1)
    print("ping \(title) \(address):", isSeen ? "answered" : "no answer")
    guard isSeen == isAnswered else {
      throw NetworkError(
        isAnswered ? .replyLost : .refused, operation: "ping \(title) \(address)",
        reason: isAnswered ? "it should be answered" : "nothing should answer")
    }
  }

  /// Prints the greeting of the TCP server at that address.
  ///
  /// - Throws: `.replyLost` without an answer.
  public func showFetch(_ title: String, _ address: String, _ port: UInt16, from namespace: NetworkNamespace) throws {
    guard let answer = try fetch(address, port, from: namespace) else {
      throw NetworkError(.replyLost, operation: "GET \(address):\(port) \(title)", reason: "no server answered")
    }
    print("GET \(address):\(port) \(title): \(answer)")
  }

  /// Whether a ping from the namespace is answered within so many seconds. A link that has just come up may drop
  /// packets for up to a second, so use a longer time for an expected answer.
  public func pings(_ address: String, from namespace: NetworkNamespace, within seconds: Int = 1) throws -> Bool {
    try busybox("ping", "-c", "1", "-W", "\(seconds)", address, in: namespace) != nil
  }

  /// The first line from the TCP server at that address; nil without an answer within so many seconds.
  public func fetch(
    _ address: String, _ port: UInt16, from namespace: NetworkNamespace, within seconds: Int = 4
  ) throws -> String? {
    try fetchAll(address, port, from: namespace, within: seconds).map { String($0.prefix { $0 != "\n" }) }
  }

  /// Everything from the TCP server at that address; nil without an answer within so many seconds.
  public func fetchAll(
    _ address: String, _ port: UInt16, from namespace: NetworkNamespace, within seconds: Int = 4
  ) throws -> String? {
    let answer = try busybox("nc", "-w", "\(seconds)", address, "\(port)", in: namespace)
    return answer.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Starts a TCP server inside a namespace that greets every client, and waits until it listens.
  public func serve(
    _ greeting: String, port: UInt16, in namespace: NetworkNamespace
  ) throws -> Server {
    try serve(by: ["busybox", "echo", greeting], port, namespace)
  }

  private func serve(by program: [String], _ port: UInt16, _ namespace: NetworkNamespace) throws -> Server {
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
    defer { try? null.close() }
    var command = Command("busybox", ["nc", "-ll", "-p", "\(port)", "-e"] + program)
    command.input = null
    command.output = null
    command.error = null
    command.endsWithParent = true
    let server = Server(process: try namespace.spawn(command))
    let clock = ContinuousClock()
    let end = clock.now + .seconds(60)
    while clock.now < end {
      let listeners = try busybox("netstat", "-ltn", in: namespace) ?? ""
      if listeners.contains(":\(port) ") { return server }
    }
    server.stop()
    throw NetworkError(.replyLost, operation: "start server", reason: "nothing listens on port \(port)")
  }

  /// Starts a TCP server inside a namespace that lists its connections to every client, and waits until it listens.
  /// Clients find their own addresses there, as the server sees them.
  public func serveConnections(port: UInt16, in namespace: NetworkNamespace) throws -> Server {
    try serve(by: ["busybox", "netstat", "-tn"], port, namespace)
  }

  /// A program that runs until it is stopped.
  public struct Server: Sendable {
    let process: ChildProcess

    /// Ends it and waits for that.
    public func stop() {
      try? process.signal(9)
      _ = try? process.wait(timeout: .seconds(5))
    }
  }
}
