import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// Containers of podman that come and go, on the real kernel.
@Suite(.timeLimit(.minutes(10))) struct NetavarkLifeTests {
  let podman: NetavarkWorld

  init() throws { podman = try NetavarkWorld() }

  private static var ports: [String: Any] {
    let mappings: [[String: Any]] = [
      ["host_ip": "", "host_port": 8080, "container_port": 80, "range": 1, "protocol": "tcp"],
      ["host_ip": "", "host_port": 5300, "container_port": 53, "range": 2, "protocol": "udp"],
    ]
    return ["port_mappings": mappings]
  }

  /// What a server in a container says to who asks at a port of the host from outside.
  private func heard(
    at port: Int, udp: Bool = false, serving inner: Int, in container: String
  ) throws -> String? {
    let server = """
      import socket
      s = socket.socket(socket.AF_INET, socket.\(udp ? "SOCK_DGRAM" : "SOCK_STREAM"))
      s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      s.bind(("", \(inner)))
      if \(udp ? "True" : "False"):
        while True: s.sendto(b"hello", s.recvfrom(9)[1])
      s.listen()
      while True: s.accept()[0].sendall(b"hello")
      """
    var command = Command("python3", ["-c", server])
    command.endsWithParent = true
    let serving = try podman.namespace(container).spawn(command)
    defer {
      try? serving.signal(SIGKILL)
      _ = try? serving.wait()
    }
    let client = """
      import socket
      s = socket.socket(socket.AF_INET, socket.\(udp ? "SOCK_DGRAM" : "SOCK_STREAM"))
      s.settimeout(1)
      s.connect(("\(Playground.hostAddress)", \(port)))
      s.send(b"x")
      print(s.recv(9).decode())
      """
    for _ in 0..<100 {
      if let heard = try podman.world.output("python3", "-c", client, in: podman.world.outside), !heard.isEmpty {
        return heard
      }
      usleep(50_000)
    }
    return nil
  }

  @Test func portsAreReachedFromOutside() async throws {
    let request = NetavarkWorld.request(with: Self.ports)
    let answer = try podman.call("setup", request)
    #expect(answer.code == 0, "\(answer.output)")
    #expect(try heard(at: 8080, serving: 80, in: "c1") == "hello\n")
    #expect(try heard(at: 5301, udp: true, serving: 54, in: "c1") == "hello\n")
    #expect(
      try await podman.controller().sandbox("c1").endpoints[0].ports.map(\.description)
        == ["0.0.0.0:5300->53/udp", "0.0.0.0:5301->54/udp", "0.0.0.0:8080->80/tcp"])
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try await podman.close() == [])
  }

  @Test func hostPortIsOneContainersAlone() async throws {
    #expect(try podman.call("setup", NetavarkWorld.request(with: Self.ports)).code == 0)
    let second = NetavarkWorld.request("c2", with: Self.ports)
    let refused = try podman.call("setup", second)
    #expect(refused.code == 1 && refused.error.contains("8080") || refused.error.contains("5300"), "\(refused.output)")
    #expect(try podman.namespace("c2").links.list().map(\.name) == ["lo"])
    #expect(try podman.call("teardown", NetavarkWorld.request(with: Self.ports)).code == 0)
    #expect(try podman.call("setup", second).code == 0)
    #expect(try podman.call("teardown", second).code == 0)
    #expect(try await podman.close() == [])
  }

  /// podman's conmon holds a container's ports by sockets of its own, while rules are made again.
  @Test func portsThatTheEngineHoldsArePublishedAgain() async throws {
    let request = NetavarkWorld.request(with: Self.ports)
    #expect(try podman.call("setup", request).code == 0)
    var conmon = Command("busybox", ["nc", "-l", "-p", "8080"])
    conmon.endsWithParent = true
    let holding = try podman.world.host.spawn(conmon)
    while try podman.world.busybox("netstat", "-ltn", in: podman.world.host)?.contains(":8080") != true {
      usleep(10_000)
    }
    #expect(try podman.call("teardown", request).code == 0)
    let again = try podman.call("setup", request)
    #expect(again.code == 0, "\(again.output)")
    #expect(try heard(at: 8080, serving: 80, in: "c1") == "hello\n")
    try? holding.signal(SIGKILL)
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try await podman.close() == [])
  }

  @Test func networksAreConnectedAndLeft() async throws {
    let blue = NetavarkWorld.network()
    let green = NetavarkWorld.network("green", "10.91.0.0/24")
    let both = NetavarkWorld.request(on: [blue, green], with: Self.ports)
    let answer = try podman.call("setup", both)
    #expect(answer.addresses() == ["10.90.0.2/24"] && answer.addresses("green", "eth1") == ["10.91.0.2/24"])
    // The first has the default route and the ports.
    let namespace = try podman.namespace("c1")
    #expect(try defaultGateways(namespace) == ["10.90.0.1"])
    // `podman network disconnect` says all of the container's ports, and the network that it leaves.
    let first = NetavarkWorld.request(on: [blue], with: Self.ports)
    #expect(try podman.call("teardown", first).code == 0)
    #expect(try namespace.links.list().map(\.name) == ["lo", "eth1"])
    #expect(try defaultGateways(namespace) == ["10.91.0.1"])
    #expect(try await podman.controller().networks().map(\.name).contains("blue") == false)
    #expect(try heard(at: 8080, serving: 80, in: "c1") == "hello\n")
    // And `podman network connect` all of them for the new one.
    let back = try podman.call("setup", first)
    #expect(back.code == 0 && back.addresses() == ["10.90.0.2/24"], "\(back.output)")
    #expect(try defaultGateways(namespace) == ["10.90.0.1"])
    #expect(try heard(at: 8080, serving: 80, in: "c1") == "hello\n")
    let twice = try podman.call("setup", first)
    #expect(twice.code == 1 && twice.error.contains("on that network already"), "\(twice.output)")
    #expect(try namespace.links.list().map(\.name).sorted() == ["eth0", "eth1", "lo"])
    #expect(try podman.call("teardown", both).code == 0)
    #expect(try namespace.links.list().map(\.name) == ["lo"])
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  private func defaultGateways(_ namespace: NetworkNamespace) throws -> [String] {
    try namespace.routes.list().filter { $0.destination.prefixLength == 0 && $0.table == 254 }
      .compactMap { $0.gateway?.description }
  }

  @Test func failureOfOneNetworkTakesBackTheOthers() async throws {
    let green = NetavarkWorld.network("green", "10.91.0.0/24")
    let request = NetavarkWorld.request(
      on: [NetavarkWorld.network(), green], own: [[:], ["static_ips": ["10.91.0.255"]]], with: Self.ports)
    let answer = try podman.call("setup", request)
    #expect(answer.code == 1 && answer.error.contains("10.91.0.255"), "\(answer.output)")
    #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  @Test func optionsDoWhatTheySay() async throws {
    let slow = NetavarkWorld.network(
      "slow", "10.90.0.0/24", with: ["options": ["mtu": "1400", "metric": "300", "isolate": "strict"]])
    let quick = NetavarkWorld.network("quick", "10.91.0.0/24", with: ["options": ["metric": "50"]])
    let routes = [["destination": "10.99.0.0/24", "gateway": "10.92.0.7"]]
    let silent = NetavarkWorld.network(
      "silent", "10.92.0.0/24", with: ["options": ["no_default_route": "1", "metric": "1"], "routes": routes])
    let request = NetavarkWorld.request(on: [slow, quick, silent])
    let answer = try podman.call("setup", request)
    #expect(answer.code == 0, "\(answer.output)")
    let namespace = try podman.namespace("c1")
    #expect(try namespace.links.get("eth0").mtu == 1400)
    #expect(try defaultGateways(namespace) == ["10.91.0.1"])
    let route = try namespace.routes.list().first { $0.destination.description == "10.99.0.0/24" }
    #expect(route?.gateway?.description == "10.92.0.7")
    // Networks are apart, isolated or not.
    #expect(try podman.call("setup", NetavarkWorld.request("c2", on: [slow])).code == 0)
    let ping = try podman.world.busybox("ping", "-c", "1", "-W", "1", "10.92.0.2", in: podman.namespace("c2"))
    #expect(ping == nil || ping?.contains(" 0 packets received") == true)
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try podman.call("teardown", NetavarkWorld.request("c2", on: [slow])).code == 0)
    #expect(try await podman.close() == [])
  }

  @Test(arguments: ["bridge", "private", "vepa", "passthru"]) func macvlanHasItsModes(_ mode: String) async throws {
    let lan = NetavarkWorld.network(
      "lan", "203.0.113.0/24", with: ["driver": "macvlan", "network_interface": "eth0", "options": ["mode": mode]])
    let request = NetavarkWorld.request(on: [lan], own: [["static_ips": ["203.0.113.77"]]], with: Self.ports)
    let answer = try podman.call("setup", request)
    #expect(answer.code == 0 && answer.addresses("lan") == ["203.0.113.77/24"], "\(answer.output)")
    #expect(try await podman.controller().network("lan").macvlanMode.map { "\($0)" } == mode)
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try await podman.close() == [])
  }

  /// podman was killed, or the machine: no teardown, and podman gives the address and the ports to the next container.
  @Test func whatTheDeadHadIsFree() async throws {
    let own: [[String: Any]] = [["static_ips": ["10.90.0.9"]]]
    let first = NetavarkWorld.request(own: own, with: Self.ports)
    #expect(try podman.call("setup", first).code == 0)
    let living = try podman.call("setup", NetavarkWorld.request("c2", own: own))
    #expect(living.code == 1 && living.error.contains("10.90.0.9"), "\(living.output)")
    podman.end("c1")
    let second = NetavarkWorld.request("c2", own: own, with: Self.ports)
    let answer = try podman.call("setup", second)
    #expect(answer.code == 0 && answer.addresses() == ["10.90.0.9/24"], "\(answer.output)")
    #expect(try await podman.controller().inspect("blue").endpoints.map(\.container) == ["c2"])
    // The same container in a new namespace.
    podman.end("c2")
    #expect(try podman.call("setup", second).addresses() == ["10.90.0.9/24"])
    // A teardown of what is long gone.
    #expect(try podman.call("teardown", first).code == 0)
    #expect(try podman.call("teardown", second).code == 0)
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  /// The machine was started anew: podman tells nothing of the containers that it had, and gives out their addresses again.
  @Test func whatWasThereBeforeTheMachineStartedIsFree() async throws {
    let request = { (container: String, last: Int) in
      NetavarkWorld.request(container, own: [["static_ips": ["10.90.0.\(last)"]]], with: last == 9 ? Self.ports : [:])
    }
    for (container, last) in [("c1", 9), ("c3", 10), ("c4", 11)] {
      #expect(try podman.call("setup", request(container, last)).code == 0)
    }
    var settings = ControllerSettings(resolvers: [], bootID: "another start", reservesPorts: false)
    settings.engineHoldsPorts = true
    let store = try SQLiteStore(at: FilePath(podman.directory))
    let controller = try await NetworkController(host: podman.world.host, store: store, settings: settings)
    #expect(try await controller.inspect("blue").endpoints.map(\.phase) == [.stopped, .stopped, .stopped])
    for name in ["c1", "c3", "c4"] { podman.end(name) }
    let answer = try podman.call("setup", request("c2", 9))
    #expect(answer.code == 0 && answer.addresses() == ["10.90.0.9/24"], "\(answer.output)")
    #expect(try podman.call("teardown", request("c4", 11)).code == 0)
    #expect(try podman.call("teardown", request("c2", 9)).code == 0)
    #expect(try podman.links() == [])
    #expect(try await podman.controller().networks().filter { !$0.isPredefined }.isEmpty)
    #expect(try await podman.controller().sandboxes().isEmpty)
    #expect(try await podman.close() == [])
  }

  /// The same where a network is kept by those alone.
  @Test func networkGoesThoughThoseFromBeforeAStartKeepAddresses() async throws {
    for (container, last) in [("c1", 9), ("c2", 10)] {
      let own: [[String: Any]] = [["static_ips": ["10.90.0.\(last)"]]]
      #expect(try podman.call("setup", NetavarkWorld.request(container, own: own)).code == 0)
    }
    let settings = ControllerSettings(resolvers: [], bootID: "another start", reservesPorts: false)
    let store = try SQLiteStore(at: FilePath(podman.directory))
    _ = try await NetworkController(host: podman.world.host, store: store, settings: settings)
    for name in ["c1", "c2"] { podman.end(name) }
    // The first is started again, and taken down.
    let first = NetavarkWorld.request("c1", own: [["static_ips": ["10.90.0.9"]]])
    #expect(try podman.call("setup", first).addresses() == ["10.90.0.9/24"])
    #expect(try podman.call("teardown", first).code == 0)
    #expect(try podman.links() == [])
    #expect(try await podman.controller().networks().filter { !$0.isPredefined }.isEmpty)
    #expect(try await podman.close() == [])
  }

  @Test func othersNetworkIsKeptAndNotChanged() async throws {
    let controller = try await podman.controller()
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.95.0.0/24")))
    let refused = try podman.call("setup", NetavarkWorld.request())
    #expect(
      refused.code == 1 && refused.error.contains("10.95.0.0/24 there and 10.90.0.0/24 here"), "\(refused.output)")
    try await controller.removeNetwork("blue")
    // One that is the same is used, and stays.
    var options = NetworkOptions(subnet: try Subnet("10.90.0.0/24"), gateway: try IPAddress("10.90.0.1"))
    (options.bridge, options.nameServing) = (try InterfaceName("br-blue"), .off)
    try await controller.createNetwork("blue", options: options)
    #expect(try podman.call("setup", NetavarkWorld.request()).code == 0)
    #expect(try podman.call("teardown", NetavarkWorld.request()).code == 0)
    #expect(try await controller.network("blue").name == "blue")
    #expect(try await podman.close() == [])
  }

  @Test func updateChangesWhomTheNetworkAsks() async throws {
    let blue = NetavarkWorld.network(with: ["dns_enabled": true, "network_dns_servers": ["192.0.2.1"]])
    #expect(try podman.call("setup", NetavarkWorld.request(on: [blue])).code == 0)
    let servers = { try await podman.controller().network("blue").dnsServers?.map(\.description) }
    #expect(try await servers() == ["192.0.2.1"])
    let update = ["--network-dns-servers", "192.0.2.7,192.0.2.8"]
    #expect(try podman.call(NetavarkWorld.flags + ["update", "blue"] + update).code == 0)
    #expect(try await servers() == ["192.0.2.7", "192.0.2.8"])
    #expect(try podman.call(["update", "blue", "--network-dns-servers="]).code == 0)
    #expect(try await servers() == nil)
    #expect(try podman.call("teardown", NetavarkWorld.request(on: [blue])).code == 0)
    #expect(try await podman.close() == [])
  }

  @Test func reloadPutsRulesBack() async throws {
    let request = NetavarkWorld.request(with: Self.ports)
    #expect(try podman.call("setup", request).code == 0)
    // As a reload of firewalld does.
    #expect(try podman.world.output("nft", "flush", "ruleset", in: podman.world.host) != nil)
    #expect(try podman.call(["reload"]).code == 0)
    #expect(try heard(at: 8080, serving: 80, in: "c1") == "hello\n")
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try await podman.close() == [])
  }

  @Test func fiftyAtOnceComeAndGo() async throws {
    let requests = try (0..<50).map { number in
      let own: [[String: Any]] = [["static_ips": ["10.90.0.\(100 + number)"]]]
      return try JSONSerialization.data(withJSONObject: NetavarkWorld.request("c\(number)", own: own))
    }
    for verb in ["setup", "teardown"] {
      let running = try requests.enumerated().map { number, input in
        try podman.start([verb, podman.namespace("c\(number)").path.string], input)
      }
      for (number, process) in running.enumerated() {
        let (code, output) = try podman.finish(process)
        #expect(code == 0, "\(verb) \(number): \(output)")
      }
    }
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  /// Killed at some moment of setup: teardown takes away what there is of it, and nothing is left, not even the network.
  @Test func killedInTheMiddleLeavesNothing() async throws {
    let request = NetavarkWorld.request(with: Self.ports)
    let input = try JSONSerialization.data(withJSONObject: request)
    let arguments = ["setup", try podman.namespace("c1").path.string]
    for round in 0..<40 {
      let process = try podman.start(arguments, input)
      usleep(UInt32(round) * 1_500)
      kill(process.process.processIdentifier, SIGKILL)
      _ = try podman.finish(process)
      let ended = try podman.call("teardown", request)
      #expect(ended.code == 0, "round \(round): \(ended.output)")
      #expect(try podman.links() == [], "round \(round)")
      #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"], "round \(round)")
    }
    #expect(try await podman.controller().networks().filter { !$0.isPredefined }.isEmpty)
    let again = try podman.call("setup", request)
    #expect(again.code == 0, "\(again.output)")
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try await podman.close() == [])
  }
}
