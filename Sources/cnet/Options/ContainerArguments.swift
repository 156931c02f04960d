import ArgumentParser
import ContainerNetworking
import SystemPackage

/// The options of `run` for its container, except those of the network.
struct ContainerArguments: ParsableArguments {
  @Option(name: .shortAndLong, help: .init("A label, for ps --filter.", valueName: "name[=value]"))
  var label: [String] = []
  @Option(name: .customLong("label-file"), help: .init("A file of labels.", valueName: "file"), completion: .file())
  var labelFiles: [String] = []
  @Option(help: .init("A port of the command, for --publish-all.", valueName: "port[/protocol]"))
  var expose: [String] = []
  @Flag(
    name: [.customShort("P"), .customLong("publish-all")],
    help: "Publish each --expose port at a port of the host's choice.")
  var publishAll = false
  @Option(help: .init("A sysctl of its network namespace.", valueName: "net.NAME=VALUE"))
  var sysctl: [String] = []
  @Option(
    name: .customLong("cidfile"), help: .init("A new file for its id.", valueName: "file"),
    completion: .file())
  var idFile: String?

  func labels() throws(NetworkError) -> [String: String] {
    var lines = label
    for file in labelFiles { lines += try ProcessArguments.lines(of: file) }
    var labels: [String: String] = [:]
    for line in lines {
      let halves = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard !halves[0].isEmpty else {
        throw NetworkError(
          .invalidValue, operation: "read label \"\(line)\"", reason: "it has no name; write one, as in tier=db")
      }
      labels[halves[0]] = halves.count == 2 ? halves[1] : ""
    }
    return labels
  }

  /// A mapping for each exposed port without a published one.
  func unpublished(_ exposed: [PortMapping], besides mappings: [PortMapping]) throws(NetworkError) -> [PortMapping] {
    var more: [PortMapping] = []
    for range in exposed {
      guard range.hostPorts == nil, range.hostAddress == nil else {
        throw NetworkError(
          .invalidValue, operation: "read exposed port \"\(range.containerPorts)\"",
          reason: "only a port of the container can be exposed, as in 80 or 53/udp; publish this one by --publish")
      }
      for port in range.containerPorts.lower...range.containerPorts.upper {
        let isPublished = (mappings + more).contains { other in
          other.transport == range.transport && (other.containerPorts.lower...other.containerPorts.upper).contains(port)
        }
        guard !isPublished else { continue }
        more.append(try PortMapping(containerPorts: PortRange(port, port), transport: range.transport))
      }
    }
    return more
  }

  /// Sets the requested sysctls.
  func set(in sandbox: Sandbox) throws(NetworkError) {
    for text in sysctl {
      let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let operation = "set sysctl \"\(text)\""
      guard halves.count == 2, halves[0].hasPrefix("net.") || halves[0].hasPrefix("net/") else {
        throw NetworkError(
          .invalidValue, operation: operation,
          reason: "it is not a sysctl of a network namespace; write one, as in net.ipv4.ip_unprivileged_port_start=0")
      }
      switch sandbox.mode {
      case .host, .container:
        throw NetworkError(
          .conflictingOptions, operation: operation,
          reason: "in mode \"\(sandbox.mode)\" the namespace is another's; set it there")
      case .bridge, .none, .network: break
      }
      try sandbox.namespace.setSysctl(halves[0].replacing(".", with: "/"), to: halves[1])
    }
  }

  func write(id: String) throws(NetworkError) {
    guard let idFile else { return }
    let path = absolutePath(idFile)
    do {
      let file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
      try file.closeAfter { _ = try file.writeAll(id.utf8) }
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        NetworkError.Code(errno), operation: "write \(path)", reason: "name a new file in a writable directory",
        kernel: KernelReport(errno: errno, request: "open"))
    }
  }
}
