import AdapterSupport
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

/// One call: its text for standard output, and the exit code.
func answer(_ arguments: [String], _ environment: [String: String]) async -> (output: String, code: Int32) {
  do throws(NetworkError) {
    let call = try CommandLineCall(arguments)
    switch call.verb {
    case .help: return (help(), 0)
    case .version: return (call.namespace == "--version" ? "netavark \(Product.version)\n" : line(versionAnswer()), 0)
    case .setup:
      let request = try Request(input(of: call))
      return (line(try await Door(call, environment).setUp(request, at: call.namespace)), 0)
    case .teardown:
      let request = try Request(input(of: call))
      try await Door(call, environment).tearDown(request)
    case .update:
      var servers: [IPAddress] = []
      for text in call.dnsServers { servers.append(try NameOptions.server(text)) }
      do throws(NetworkError) {
        try await Door(call, environment).controller.setDNSServers(servers, of: call.network)
      } catch {
        // Nobody is on it: the next setup says them again.
        try error.rethrow(unless: .notFound)
      }
    case .reload, .firewalldReload, .nftablesReload:
      try await Door(call, environment).controller.reconcileRules()
    }
    return ("", 0)
  } catch { return (line(.object(["error": .text(error.sentence)])), 1) }
}

func input(of call: CommandLineCall) throws(NetworkError) -> [UInt8] {
  guard let file = call.file else { return try ProgramInput.read(.standardInput, "standard input") }
  let descriptor: FileDescriptor
  do { descriptor = try FileDescriptor.open(FilePath(file), .readOnly, options: .closeOnExec) } catch {
    throw NetworkError(
      .notFound, operation: "read \(file)",
      reason: "it cannot be opened; --file takes a file in place of standard input",
      kernel: KernelReport(errno: error as? Errno ?? .ioError, request: "open"))
  }
  defer { try? descriptor.close() }
  return try ProgramInput.read(descriptor, file)
}

func line(_ json: JSON) -> String { ((try? JSON.line(json)) ?? "{}") + "\n" }

/// In netavark's form.
func versionAnswer() -> JSON {
  .compact([
    "version": .text(Product.version), "commit": .text(""), "build_time": .text(""),
    "target": .text(Product.target), "default_fw_driver": .text("nftables"),
  ])
}

func help() -> String {
  """
  netavark [OPTIONS] VERB: the command line of netavark on the record of cnet; podman calls it.

    setup NSPATH        put a container on its networks; JSON on standard input, JSON on standard output
    teardown NSPATH     take it off its networks; the same input
    update NETWORK --network-dns-servers IP[,IP]
                        set the servers that the network's name server asks
    reload              put back rules that another program removed; also firewalld-reload, nftables-reload
    version             print the version, as JSON

    -f, --file FILE     read FILE in place of standard input
    -c, --config DIR    podman's directory; with --rootless=true the record is in it
    -r, --rootless BOOL, -a, --aardvark-binary PATH, --plugin-directory DIR, --firewall-driver DRIVER

  The record is in $CNET_STATE_DIR, or \(Product.stateDirectory). cnet dns answers names, and is started where none
  runs; $CNET_NAME_SERVER (auto, running, none) says otherwise.

  """
}

let (output, code) = await answer(Array(CommandLine.arguments.dropFirst()), ProcessInfo.processInfo.environment)
if !output.isEmpty { _ = try? FileDescriptor.standardOutput.writeAll(output.utf8) }
exit(code)
