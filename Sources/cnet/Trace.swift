import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct Trace: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace", abstract: "Follow a packet through bridges, rules, routing and translation, and back.",
    discussion: """
      FROM is a container or host, which cnet makes send the packet, or an outside address or link of the host, whose \
      packet cnet waits for. TO is a container, host or an address, with port and protocol: web:80/tcp, \
      [fd00::2]:53/udp, 192.0.2.1/icmp. A port alone means TCP, no port an echo.

      During the trace, two nftables tables select that packet alone; they end with this process. The exit code is 1 \
      if the packet was dropped or lost, or none was seen.
      """)

  @Option(
    help: .init("Time to wait; by default 3 for an answer, 30 for a packet of another sender.", valueName: "seconds"))
  var timeout: Double?
  @Option(help: .init("Write the host's graph with the packet's path, as SVG, to this file.", valueName: "file"))
  var svg: String?
  @Flag(help: "Print one JSON object.")
  var json = false
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The sender.")
  var from: String
  @Argument(help: "The receiver: to[:port][/tcp|udp|icmp].")
  var to: String

  func run() async throws {
    var request = try TraceRequest(from: from, to: to)
    let controller = try await global.controller()
    let isContainer = try await controller.sandboxes().contains { $0.container == from }
    let seconds = timeout ?? (isContainer || request.from == .host ? 3 : 30)
    request = try TraceRequest(
      from: from, to: to, timeout: .seconds(seconds.isFinite ? max(-1, min(seconds, 1e9)) : -1))
    let trace = try await controller.trace(request)
    if json {
      print(try JSON(trace).page())
    } else {
      print(trace.text(Terminal(global.color).styled))
    }
    if let svg {
      try await controller.graph().svg(marking: trace.path("\(from) → \(to)")).write(to: svg)
    }
    if [.dropped, .lost, .unseen].contains(trace.outcome.kind) { throw ExitCode.failure }
  }
}

extension Terminal {
  fileprivate func styled(_ text: String, _ style: PacketTrace.Style) -> String {
    switch style {
    case .heading, .packet: bold(text)
    case .passed, .succeeded: green(text)
    case .failed: red(text)
    }
  }
}
