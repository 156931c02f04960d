import ArgumentParser
import ContainerNetworking
import ContainerNetworkingForwarder
import Glibc
import Netlink
import ServiceLifecycle
import UnixSignals

struct Forward: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forward",
    abstract: "Serve published ports at ::1 and at addresses of a family that a container lacks, until interrupted.",
    discussion: """
      The kernel translates addresses within one family, and never ::1; this program carries the rest. While it runs, \
      all published ports answer at all of the host's addresses, and it holds each against other programs of the \
      host. It ends at INT and TERM.
      """)

  @Option(help: .init("Connections of one port at a time.", valueName: "number"))
  var connections = ForwarderLimits().connectionsPerPort
  @Option(help: .init("Seconds to remember an idle UDP client.", valueName: "seconds"))
  var idle = Int(ForwarderLimits().clientIdleTime / .seconds(1))
  @OptionGroup
  var global: GlobalOptions

  func validate() throws {
    guard connections > 0, idle > 0 else { throw ValidationError("Each limit is 1 or more.") }
  }

  func run() async throws {
    // Each port takes one descriptor, and each connection two.
    OpenFiles.raiseLimit()
    let forwarder = PortForwarder(
      limits: ForwarderLimits(connectionsPerPort: connections, clientIdleTime: .seconds(idle)))
    let controller = try await global.controller(reservesPorts: true, forwarder: forwarder)
    print("ready, \(forwarder.portCount) ports")
    fflush(nil)
    try await ServiceGroup(services: [forwarder], gracefulShutdownSignals: [.sigint, .sigterm]).run()
    // It follows the record until here.
    withExtendedLifetime(controller) {}
  }
}
