import AdapterNames
import ArgumentParser
import ContainerNetworking
import ContainerNetworkingDNS
import Glibc
import Netlink
import SystemPackage
import UnixSignals

struct ServeNames: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dns", abstract: "Answer the names of custom networks, until interrupted.",
    discussion: """
      It listens on each network's gateways, or inside containers, and then prints "serving". A state directory has \
      one server at a time. Where none runs, the first verb that needs it starts one in the background. That one ends \
      when no container is on a network that has names, and logs failures to dns.log in the state directory.
      """)

  @Flag(help: "End when no container is on a network that has names.")
  var untilIdle = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    // Each address with a listener takes two descriptors.
    OpenFiles.raiseLimit()
    // A process started through /proc/PID/exe would have that name in ps(1).
    if let name = try? FileDescriptor.open(FilePath("/proc/self/comm"), .writeOnly, options: .closeOnExec) {
      try? name.closeAfter { _ = try name.writeAll("cnet dns".utf8) }
    }
    let place = try global.place()
    let store = try place.store()
    var settings = NameServerSettings()
    settings.directory = place.directory
    settings.resolverFile = place.hostFiles.resolvConf
    settings.onFailure = { Failure.report($0) }
    let server = NameServer(host: place.host, store: store, settings: settings)
    do throws(NetworkError) { try await server.start() } catch {
      Failure.report(error)
      throw ExitCode(error.code == .inUse ? StartedNameService.busyCode : ExitCode.failure.rawValue)
    }
    print(StartedNameService.greeting)
    fflush(nil)
    await withTaskGroup { group in
      group.addTask { for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) { break } }
      if untilIdle { group.addTask { await Self.wait(for: server, place, store) } }
      await group.next()
      group.cancelAll()
    }
    await server.stop()
  }

  /// Returns after stopping the unneeded server, or when the task is cancelled.
  private static func wait(for server: NameServer, _ place: StatePlace, _ store: any Store) async {
    let demand = Demand(store) { place.isThere }
    var idleCount = 0
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(500))
      idleCount = demand.look() == .idle ? idleCount + 1 : 0
      guard idleCount > 3, !Task.isCancelled else { continue }
      // A container that came after the check was told that it is served; later ones are told that no server runs.
      await server.stop()
      for _ in 0..<50 where demand.look() == .coming { try? await Task.sleep(for: .milliseconds(100)) }
      guard demand.look() != .idle else { return }
      // Unless another process has started one meanwhile.
      do throws(NetworkError) { try await server.start() } catch { return }
      idleCount = 0
    }
  }
}
