// swift-format-ignore-file
// Pages align their comments.

import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingForwarder
import ContainerNetworkingStore
import Foundation
import SystemPackage
import Testing

/// The examples of pages that are not run here, because they would change the machine's own network. They are compiled,
/// and the pages contain them word for word.
@Suite(.timeLimit(.minutes(10))) struct PageExampleTests {
  private func readme1() async throws {
    // example README.md
    let controller = try await NetworkController(host: .current())
    let web = try await controller.attach(
      "web", to: .bridge, options: AttachOptions(ports: [PortMapping("8080:80")]))

    print(web.namespace.path)                    // what an OCI runtime takes as the network namespace
    print(web.endpoints[0].address)              // 172.17.0.2/16
    print(try web.namespace.spawn(Command("busybox", ["ifconfig"])).wait())   // exited(0)
    try await controller.detach("web")           // endpoint, address, port and rules are gone
    // end
  }

  private func readme2() async throws {
    // example README.md
    let controller = try await NetworkController(
      host: .current(), store: SQLiteStore(at: "/var/lib/containernetworking"),
      settings: ControllerSettings(heals: true))
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("192.168.50.0/24"), isIPv6Enabled: true))
    try await controller.connect("web", to: "blue", options: EndpointOptions(gatewayPriority: 1))
    for difference in try await controller.differences() { print(difference, "→", difference.remedy) }
    // end
  }

  private func readmeErrors(controller: NetworkController) async throws {
    // example README.md
    do { try await controller.attach("web", to: .network("blue")) } catch {
      switch error.code {
      case .alreadyExists: print("it is on the network")
      case .inUse, .exhausted: print("no address or port is left:", error)
      default: throw error
      }
    }
    do { try await controller.detach("web") } catch { try error.rethrow(unless: .notFound) }
    // end
  }

  private func readme3(controller: NetworkController) async throws {
    // example README.md
    // In bulk, a result for each; made, wired and addressed ahead of time, so that an attach hands one over; on the controller's
    // own threads, so that a call costs no turn to another.
    let workers = (1...100).map { AttachRequest("worker\($0)", to: .network("blue")) }
    for result in await controller.attach(workers) { print(try result.get().endpoints[0].address) }
    try await controller.keepReady(10, on: "blue")
    let job = Task(executorPreference: controller.executor) { try await controller.attach("job", to: .network("blue")) }
    try await controller.settled()               // the kernel has freed what was detached
    // end
    _ = job
  }

  private func readme4() async throws {
    // example README.md
    let namespace = try NetworkNamespace.create()
    let host = try NetworkNamespace.current()
    let end = try host.links.createVeth(
      VethEnd(InterfaceName("port0")),
      peer: VethEnd(InterfaceName("eth0"), namespace: namespace.handle.descriptor))
    try host.addresses.add(InterfaceAddress("10.0.0.1/24"), to: end.index)
    try host.links.setUp(index: end.index)
    // end
  }

  private func names1(host: NetworkNamespace, store: any Store) async throws {
    // example Documentation/Names.md
    let server = NameServer(host: host, store: store)
    try await server.start()
    var settings = ControllerSettings()
    settings.names = server                                // or SharedNameServer, where other programs have the record, too
    settings.filesDirectory = "/var/lib/me/files"
    let controller = try await NetworkController(host: host, store: store, settings: settings)
    // end
    _ = controller
  }

  private func nameServer1(directory: FilePath) async throws {
    // example Documentation/NameServer.md
    let host = try NetworkNamespace.current()
    let server = NameServer(host: host, store: try SQLiteStore(at: directory))
    try await server.start()                       // or in a ServiceGroup of swift-service-lifecycle

    var settings = ControllerSettings()
    settings.names = server                        // or RemoteNameService(directory: directory) in other processes
    let controller = try await NetworkController(host: host, store: try SQLiteStore(at: directory), settings: settings)
    // end
    _ = controller
  }

  private func nameServer2(host: NetworkNamespace, directory: FilePath) async throws {
    // example Documentation/NameServer.md
    let shared = try SharedNameServer(host: host, store: try SQLiteStore(at: directory))
    try await shared.start()
    var ours = ControllerSettings()
    ours.names = shared
    // end
    _ = ours
  }

  private func ports1(controller: NetworkController) async throws {
    // example Documentation/Ports.md
    let web = try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
    try await controller.publish([PortMapping("8443:443"), PortMapping("53:53/udp")], of: "web")
    try await controller.unpublish([PortMapping("8443:443")], of: "web")
    // end
    _ = web
  }

  private func ports2() async throws {
    // example Documentation/Ports.md
    let forwarder = PortForwarder()
    let controller = try await NetworkController(
      host: .current(), settings: ControllerSettings(forwarder: forwarder))
    // end
    _ = controller
  }

  private func state1() async throws {
    // example Documentation/State.md
    let store = try SQLiteStore(at: "/var/lib/containernetworking")
    // end
    _ = store
  }

  private func state2() async throws {
    // example Documentation/State.md
    print(try SQLiteStore.recover(at: "/var/lib/containernetworking"))
    // end
  }

  private func adapters() {
    // example Documentation/Adapters.md
    /// What CNI's GC asks for: of this program's attachments to a network, only the valid ones stay.
    func collectGarbage(_ valid: [AttachedInterface], on network: String, with controller: NetworkController) async throws {
      let own = EndpointFilter(networks: [network], labels: ["com.example.made-by": "cni"])
      let report = try await controller.keepOnly(valid, matching: own)
      for attachment in report.removed { print("removed \(attachment)") }
      if let failure = report.failures.first { throw failure }
    }
    // end
    // example Documentation/Adapters.md
    /// What Docker asks a network driver for, in its order.
    func lifeOfAnEndpoint(_ address: IPAddress, with controller: NetworkController) async throws {
      try await controller.createEndpoint("e1", on: "blue", options: EndpointOptions(addresses: [address]))
      let link = try await controller.joinEndpoint("e1").interface   // the engine moves it, and names it eth0
      try await controller.publish([PortMapping("8080:80")], of: "e1")
      print(link)
      try await controller.leaveEndpoint("e1")
      try await controller.deleteEndpoint("e1")
    }
    // end
  }

  private func landing() async throws {
    // example Sources/ContainerNetworking/ContainerNetworking.docc/ContainerNetworking.md
    let controller = try await NetworkController(host: .current())
    let web = try await controller.attach("web", to: .bridge, options: AttachOptions(ports: [PortMapping("8080:80")]))
    print(web.namespace.path, web.endpoints[0].address)
    try await controller.detach("web")
    // end
  }

  private func fiveModes(controller: NetworkController) async throws {
    // example Sources/ContainerNetworking/ContainerNetworking.docc/FiveModes.md
    let web = try await controller.attach(
      "web", to: .bridge, options: AttachOptions(ports: [PortMapping("8080:80")]))
    print(web.endpoints[0].address)          // 172.17.0.2/16
    // end
    // example Sources/ContainerNetworking/ContainerNetworking.docc/FiveModes.md
    let monitor = try await controller.attach("monitor", to: .host)
    print(monitor.endpoints.isEmpty)         // true
    // end
    // example Sources/ContainerNetworking/ContainerNetworking.docc/FiveModes.md
    let alone = try await controller.attach("alone", to: .none)
    print(try alone.namespace.links.list().map(\.name))   // ["lo"]
    // end
    // example Sources/ContainerNetworking/ContainerNetworking.docc/FiveModes.md
    let sidecar = try await controller.attach("sidecar", to: .container("web"))
    print(sidecar.namespace.identity == web.namespace.identity)   // true
    // end
    // example Sources/ContainerNetworking/ContainerNetworking.docc/FiveModes.md
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("192.168.50.0/24")))
    let database = try await controller.attach(
      "database", to: .network("blue"), options: AttachOptions(address: IPAddress("192.168.50.101")))
    try await controller.connect("web", to: "blue")   // on both networks now
    // end
    _ = database
  }

  private func storeLanding() async throws {
    // example Sources/ContainerNetworkingStore/ContainerNetworkingStore.docc/ContainerNetworkingStore.md
    let controller = try await NetworkController(
      host: .current(), store: SQLiteStore(at: "/var/lib/containernetworking"))
    // end
    _ = controller
  }

  private func forwarderLanding() async throws {
    // example Sources/ContainerNetworkingForwarder/ContainerNetworkingForwarder.docc/ContainerNetworkingForwarder.md
    let forwarder = PortForwarder()
    let controller = try await NetworkController(
      host: .current(), settings: ControllerSettings(forwarder: forwarder))
    // end
    _ = controller
  }

  @Test func pagesHoldTheExamples() throws {
    let own = URL(filePath: #filePath)
    let root = own.deletingLastPathComponent().appending(path: "../..")
    var examples: [String: [String]] = [:]
    for match in try String(contentsOf: own, encoding: .utf8).matches(of: #/(?s)    // example (\S+)\n(.*?)\n    // end\n/#) {
      let lines = match.2.split(separator: "\n", omittingEmptySubsequences: false).map { $0.dropFirst(4) }
      examples[String(match.1), default: []].append(lines.joined(separator: "\n"))
    }
    #expect(examples.count == 10)
    for (page, examples) in examples {
      let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
      let blocks = text.matches(of: #/(?s)```swift\n(.*?)\n```/#).map { match in
        match.1.split(separator: "\n", omittingEmptySubsequences: false).drop { $0.isEmpty || $0.hasPrefix("import ") }
          .joined(separator: "\n")
      }
      #expect(blocks == examples, "\(page)")
    }
  }
}
