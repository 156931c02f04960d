import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport
import Testing

/// A program that embeds the library beside the tool: on one record, and on one host with a record each.
@Suite(.timeLimit(.minutes(5))) struct SharedRecordTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  /// Another process serves the names; when it is killed, this one does, and the containers of both are found as before.
  @Test func namesAreServedByAnotherProcessAndThenByThisOne() async throws {
    let server = try tool.start("cnet", ["dns"])
    #expect(waitUntil { server.text("output").contains("serving") }, "\(server.text("error"))")
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let directory = FilePath(tool.directory)
    var names = NameServerSettings()
    names.resolverFile = FilePath(tool.resolvConf)
    let shared = try SharedNameServer(
      host: tool.world.host, store: try SQLiteStore(at: directory), settings: names)
    try await shared.start()
    #expect(!shared.isServing)
    var settings = ControllerSettings(resolvers: [])
    settings.names = shared
    let controller = try await NetworkController(
      host: tool.world.host, store: try SQLiteStore(at: directory), settings: settings)
    try await controller.attach("ours", to: .network("one"))
    // As the page has it for who knows that another serves.
    settings.names = RemoteNameService(directory: directory)
    let second = try await NetworkController(
      host: tool.world.host, store: try SQLiteStore(at: directory), settings: settings)
    try await second.attach("second", to: .network("one"))
    func look(for name: String) throws -> Tool.Outcome {
      try tool.run("cnet", ["run", "--net", "one", "--", "getent", "hosts", name], extra: ["CNET_NAME_SERVER=auto"])
    }
    for name in ["ours", "second.one"] {
      let answer = try look(for: name)
      #expect(answer.code == 0, "\(answer)")
    }
    try server.process.signal(SIGKILL)
    #expect(try server.end().code == -SIGKILL)
    let serves = waitUntil { shared.isServing }
    #expect(serves)
    for name in ["ours", "second"] {
      let answer = try look(for: name)
      #expect(answer.code == 0, "\(answer)")
    }
    try await controller.removeAll()
    await shared.stop()
    #expect(try tool.close() == [])
  }

  /// What `doctor` says of the record of another program, and takes away of one that is lost.
  @Test func doctorTellsOfAnotherRecordAndForgetsIt() async throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let alone = try tool.cnet("doctor")
    #expect(alone.code == 0 && alone.output == "The record and the kernel agree.\n", "\(alone)")
    let theirs = try NetworkNamespace.create()
    let other = try await NetworkController(
      host: tool.world.host, settings: ControllerSettings(resolvers: [], reservesPorts: false))
    let network = try await other.createNetwork("other", options: NetworkOptions(subnet: Subnet("10.2.0.0/24")))
    let bridge = try #require(network.bridge)
    try await other.attach(
      "web", to: .network("other"), options: AttachOptions(ports: [PortMapping("8080:80")]), namespace: theirs)
    let told = try tool.cnet("doctor")
    let own = told.output.components(separatedBy: "this one is record ").last.map { String($0.dropLast()) } ?? ""
    #expect(
      told.code == 0
        && told.output == """
          The record and the kernel agree.
          also on this host: record \(other.recordID), which has the bridge \(bridge), 1 endpoint and 1 published port
            this one is record \(own)

          """,
      "\(told)")
    #expect(own.count == other.recordID.count && own != other.recordID)
    let line = try tool.cnet("doctor", "--json").output
    #expect(line.contains(#""Kind":"record""#) && line.contains(#""Id":"\#(other.recordID)""#), "\(line)")

    let unasked = try tool.cnet("doctor", "--forget-record", other.recordID)
    #expect(unasked.code == 1 && unasked.error.contains("confirm by --force"), "\(unasked)")
    #expect(try await other.differences() == [])
    let unknown = try tool.cnet("doctor", "--forget-record", own, "--force")
    #expect(unknown.code == 1, "\(unknown)")
    let forgotten = try tool.cnet("doctor", "--forget-record", other.recordID, "--force")
    #expect(forgotten.code == 0, "\(forgotten)")
    #expect(try tool.cnet("doctor").output == "The record and the kernel agree.\n")
    #expect(!(try await other.differences().isEmpty))
    try await other.removeAll()
    #expect(try tool.close() == [])
  }
}
