import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import Testing

/// Docker's remote network driver, asked as Docker asks it, on the real kernel.
@Suite(.timeLimit(.minutes(10))) struct DockerDriverTests {
  private let it: EngineWorld
  private let socket: String
  private static let network = String(repeating: "4f3a2b1c", count: 8)
  private static let name = "docker-4f3a2b1c4f3a"
  private static let endpoint = String(repeating: "0d9e", count: 16)

  init() throws {
    it = try EngineWorld()
    socket = "/tmp/docker-driver-\(UUID().uuidString.prefix(8)).sock"
  }

  private func start() throws -> Process {
    let process = try it.start("cnet-docker", ["--socket", socket, "--state-dir", it.directory], [:], Data()).process
    for _ in 0..<600 {
      if try call("/Plugin.Activate", "").status == 200 { return process }
      usleep(100_000)
    }
    Issue.record("the driver does not answer")
    return process
  }

  private func end(_ process: Process, by signal: Int32) {
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
  }

  /// A request: its HTTP status, and the answer.
  @discardableResult
  private func call(_ path: String, _ body: String) throws -> (status: Int, text: String, json: [String: Any]) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/curl")
    process.arguments = [
      "-s", "--unix-socket", socket, "-X", "POST", "-m", "60", "--data-binary", "@-", "-w", "\n%{http_code}", "-H",
      "Expect:", "http://driver\(path)",
    ]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    signal(SIGPIPE, SIG_IGN)
    try? input.fileHandleForWriting.write(contentsOf: Data(body.utf8))
    try? input.fileHandleForWriting.close()
    var lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    process.waitUntilExit()
    let status = Int(lines.popLast() ?? "") ?? 0
    let text = lines.joined(separator: "\n")
    let json = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    return (status, text, json ?? [:])
  }

  private static let ids = #""NetworkID": "\#(network)", "EndpointID": "\#(endpoint)""#
  private static let creation = """
    {"NetworkID": "\(network)", "Options": {"com.docker.network.generic": {"com.docker.network.driver.mtu": "1400"}},
     "IPv4Data": [{"AddressSpace": "x", "Pool": "10.97.0.0/24", "Gateway": "10.97.0.1/24"}], "IPv6Data": []}
    """

  @Test func lifeOfAContainer() async throws {
    var driver = try start()
    #expect(try call("/Plugin.Activate", "").text == "{\"Implements\":[\"NetworkDriver\"]}\n")
    #expect(try call("/NetworkDriver.GetCapabilities", "{}").json["Scope"] as? String == "local")
    // Each said twice: Docker says again what it had no answer to.
    for _ in 0..<2 { #expect(try call("/NetworkDriver.CreateNetwork", Self.creation).text == "{}\n") }
    let asked = #"{\#(Self.ids), "Interface": {"Address": "10.97.0.9/24", "AddressIPv6": "", "MacAddress": ""}}"#
    for _ in 0..<2 {
      let made = try call("/NetworkDriver.CreateEndpoint", asked)
      #expect(made.text == "{\"Interface\":{\"MacAddress\":\"02:42:0a:61:00:09\"}}\n", "\(made.text)")
    }
    #expect(try it.links().count == 1)
    // The driver ends as it will, and is started again.
    end(driver, by: SIGKILL)
    driver = try start()
    let joined = try call("/NetworkDriver.Join", "{\(Self.ids), \"SandboxKey\": \"/run/docker/netns/1\"}")
    #expect(joined.json["Gateway"] as? String == "10.97.0.1" && joined.json["DisableGatewayService"] as? Bool == false)
    let names = try #require(joined.json["InterfaceName"] as? [String: String], "\(joined.text)")
    #expect(names["DstPrefix"] == "eth")
    // What Docker does.
    let container = try it.namespace("c1")
    let link = try it.world.host.links.get(try #require(names["SrcName"]))
    #expect(link.mtu == 1400 && link.macAddress?.description == "02:42:0a:61:00:09")
    try it.world.host.links.move(link.index, to: container)
    let inside = try container.links.get(try #require(names["SrcName"])).index
    try container.links.rename(inside, to: InterfaceName("eth0"))
    try container.addresses.add(InterfaceAddress("10.97.0.9/24"), to: inside)
    try container.links.setUp(index: inside)
    try container.routes.add(Route(to: .all(.ipv4), via: IPAddress("10.97.0.1"), link: inside))

    let ports = """
      {\(Self.ids), "Options": {"com.docker.network.portmap": [
        {"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]}}
      """
    for _ in 0..<2 {
      #expect(try call("/NetworkDriver.ProgramExternalConnectivity", ports).text == "{}\n")
    }
    end(driver, by: SIGKILL)
    driver = try start()
    var server = Command("busybox", ["nc", "-l", "-p", "80", "-e", "echo", "hello"])
    server.endsWithParent = true
    let serving = try container.spawn(server)
    var heard: String?
    for _ in 0..<100 where heard?.isEmpty ?? true {
      heard = try it.world.busybox("nc", "-w", "4", Playground.hostAddress, "8080", in: it.world.outside)
      usleep(50_000)
    }
    #expect(heard == "hello\n")
    try? serving.signal(SIGKILL)
    _ = try serving.wait()
    #expect(try call("/NetworkDriver.EndpointOperInfo", "{\(Self.ids)}").json["Value"] != nil)
    #expect(try call("/NetworkDriver.RevokeExternalConnectivity", "{\(Self.ids)}").text == "{}\n")
    #expect(try await it.controller().inspect(Self.name).endpoints.flatMap(\.ports).isEmpty)
    for verb in ["Leave", "Leave", "DeleteEndpoint", "DeleteEndpoint"] {
      #expect(try call("/NetworkDriver.\(verb)", "{\(Self.ids)}").text == "{}\n", "\(verb)")
    }
    #expect(try container.links.list().map(\.name) == ["lo"])
    for _ in 0..<2 {
      #expect(try call("/NetworkDriver.DeleteNetwork", "{\"NetworkID\": \"\(Self.network)\"}").text == "{}\n")
    }
    #expect(try it.links() == [])
    end(driver, by: SIGTERM)
    #expect(!FileManager.default.fileExists(atPath: socket))
    #expect(try await it.close() == [])
  }

  /// What Docker has forgotten holds no address, and does not keep its network.
  @Test func forgottenEndpointsGiveWay() async throws {
    let driver = try start()
    #expect(try call("/NetworkDriver.CreateNetwork", Self.creation).text == "{}\n")
    func create(_ id: String) throws -> String {
      try call(
        "/NetworkDriver.CreateEndpoint",
        #"{"NetworkID": "\#(Self.network)", "EndpointID": "\#(id)", "Interface": {"Address": "10.97.0.9/24"}}"#
      ).text
    }
    let (first, second) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
    #expect(try create(first).contains("02:42:0a:61:00:09"))
    #expect(
      try call("/NetworkDriver.Join", #"{"NetworkID": "\#(Self.network)", "EndpointID": "\#(first)"}"#).status == 200)
    #expect(try create(second).contains("02:42:0a:61:00:09"))
    #expect(try await it.controller().inspect(Self.name).endpoints.map(\.container) == [second])
    // Another program's container keeps its own.
    let controller = try await it.controller()
    try await controller.attach(
      "own", to: .network(Self.name), options: AttachOptions(address: IPAddress("10.97.0.20")))
    let taken = try call(
      "/NetworkDriver.CreateEndpoint",
      #"{"NetworkID": "\#(Self.network)", "EndpointID": "\#(first)", "Interface": {"Address": "10.97.0.20/24"}}"#)
    #expect((taken.json["Err"] as? String)?.contains("10.97.0.20") == true, "\(taken.text)")
    let inUse = try call("/NetworkDriver.DeleteNetwork", "{\"NetworkID\": \"\(Self.network)\"}")
    #expect((inUse.json["Err"] as? String)?.contains("own") == true, "\(inUse.text)")
    try await controller.detach("own")
    #expect(try call("/NetworkDriver.DeleteNetwork", "{\"NetworkID\": \"\(Self.network)\"}").text == "{}\n")
    #expect(try it.links() == [])
    end(driver, by: SIGTERM)
    #expect(try await it.close() == [])
  }

  @Test func badRequestsGetDockersErrorForm() async throws {
    let driver = try start()
    let id = Self.network
    let cases: [(path: String, body: String, status: Int, part: String)] = [
      ("/NetworkDriver.NoSuchCall", "{}", 404, "no such call"), ("/", "", 404, "no such call"),
      ("/NetworkDriver.CreateNetwork", "{", 400, "no JSON"), ("/NetworkDriver.CreateNetwork", "[]", 400, "an object"),
      ("/NetworkDriver.CreateNetwork", "", 400, "NetworkID"),
      ("/NetworkDriver.CreateNetwork", #"{"NetworkID": 7}"#, 400, "NetworkID"),
      ("/NetworkDriver.CreateNetwork", #"{"NetworkID": "../../etc"}"#, 400, "no id"),
      (
        "/NetworkDriver.CreateNetwork", #"{"NetworkID": "\#(id)", "IPv4Data": [{"Pool": "10.97.0.0/99"}]}"#, 400,
        "IPv4Data[0].Pool"
      ),
      (
        "/NetworkDriver.CreateNetwork",
        #"{"NetworkID": "\#(id)", "Options": {"com.docker.network.generic": {"colour": "blue"}}}"#, 400, "colour"
      ),
      ("/NetworkDriver.CreateEndpoint", "{\(Self.ids)}", 200, "no network"),
      ("/NetworkDriver.CreateEndpoint", #"{\#(Self.ids), "Interface": {"Address": "x"}}"#, 400, "Interface.Address"),
      ("/NetworkDriver.CreateEndpoint", #"{\#(Self.ids), "Interface": []}"#, 400, "Interface"),
      ("/NetworkDriver.Join", "{\(Self.ids)}", 200, "no endpoint"),
      ("/NetworkDriver.EndpointOperInfo", "{\(Self.ids)}", 200, "no network"),
      (
        "/NetworkDriver.ProgramExternalConnectivity",
        #"{\#(Self.ids), "Options": {"com.docker.network.portmap": [{"Proto": 99, "Port": 80}]}}"#, 400, "Proto"
      ),
      (
        "/NetworkDriver.ProgramExternalConnectivity",
        #"{\#(Self.ids), "Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 70000}]}}"#, 400, "Port"
      ),
      ("/NetworkDriver.Leave", "null", 400, "an object"),
      ("/NetworkDriver.Leave", String(repeating: " ", count: 2 << 20), 413, "bytes"),
    ]
    for (path, body, status, part) in cases {
      let answer = try call(path, body)
      #expect(answer.status == status, "\(path) \(body.prefix(80)): \(answer.text)")
      #expect((answer.json["Err"] as? String)?.contains(part) == true, "\(path) \(body.prefix(80)): \(answer.text)")
    }
    // Bytes at random: each has an answer, and the driver lives.
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<40 {
      var body = Self.creation
      for _ in 0..<4 {
        let place = body.index(body.startIndex, offsetBy: Int.random(in: 0..<body.count, using: &generator))
        body.replaceSubrange(place...place, with: String("{}[]\",:0x\u{0}".randomElement(using: &generator) ?? "x"))
      }
      let answer = try call("/NetworkDriver.CreateNetwork", body)
      #expect([200, 400].contains(answer.status), "\(body): \(answer.text)")
      if answer.json["Err"] == nil {
        for network in try await it.controller().networks() where network.name.hasPrefix("docker-") {
          try await it.controller().removeNetwork(network.id)
        }
      }
    }
    #expect(try call("/Plugin.Activate", "").status == 200)
    end(driver, by: SIGTERM)
    #expect(try await it.close() == [])
  }
}
