import ContainerNetworking
import Foundation
import Testing

/// The hook of OCI runtimes, called as runc and crun do.
@Suite(.timeLimit(.minutes(5))) struct OCIHookTests {
  let runtime: EngineWorld

  init() throws { runtime = try EngineWorld() }

  private static let words = "--network blue --ip 10.94.0.9 --publish 8080:80 --alias www"

  /// A container's first process, in the namespace that its runtime made. It has no descriptors of ours, for whose end others
  /// wait.
  private func process(of container: String) throws -> Process {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/nsenter")
    let path = try runtime.namespace(container).path.string
    process.arguments = ["--net=\(path)", "sh", "-c", "echo; exec sleep 100"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    // It has said so once it is in there.
    _ = try output.fileHandleForReading.read(upToCount: 1)
    return process
  }

  private func end(_ process: Process) {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  private func call(_ state: String) throws -> (code: Int32, output: String) {
    try runtime.finish(start(state))
  }

  private func start(_ state: String) throws -> (process: Process, output: Pipe) {
    let arguments = ["oci-hook", "--name-server", "none"]
    return try runtime.start("cnet", arguments, [:], Data(state.utf8), readsErrors: true)
  }

  private func state(_ status: String, _ pid: String, id: String = "c1", words: String = words) -> String {
    """
    {"ociVersion": "1.0.2", "id": "\(id)", "status": "\(status)", \(pid)"bundle": "/run/bundle",
     "annotations": {"com.containernetworking.attach": "\(words)", "other": "x"}}
    """
  }

  private func makeNetwork() async throws -> NetworkController {
    let controller = try await runtime.controller()
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.94.0.0/24")))
    return controller
  }

  @Test(arguments: [("creating", ""), ("created", "\"pid\": 0, ")]) func containerComesAndGoes(
    _ status: String, _ noPID: String
  ) async throws {
    let controller = try await makeNetwork()
    let first = try process(of: "c1")
    for _ in 0..<2 {
      let made = try call(state(status, "\"pid\": \(first.processIdentifier), "))
      #expect(made.code == 0 && made.output.isEmpty, "\(made.output)")
      let endpoint = try await controller.sandbox("c1").endpoints[0]
      #expect(endpoint.address.description == "10.94.0.9/24" && endpoint.aliases == ["www"])
      #expect(endpoint.ports.map(\.description) == ["0.0.0.0:8080->80/tcp"])
      // A hook of a container that is there does nothing to it.
      #expect(try call(state(status, "\"pid\": \(first.processIdentifier), ")).output.contains("is attached already"))
      for _ in 0..<2 { #expect(try call(state("stopped", noPID)).code == 0) }
      #expect(try await controller.sandboxes().isEmpty)
    }
    #expect(try runtime.namespace("c1").links.list().map(\.name) == ["lo"])
    end(first)
    #expect(try await runtime.close() == [])
  }

  @Test func othersContainerOfTheNameIsLeftAlone() async throws {
    let controller = try await makeNetwork()
    try await controller.attach("c1", to: .network("blue"))
    let first = try process(of: "c1")
    let refused = try call(state("creating", "\"pid\": \(first.processIdentifier), "))
    #expect(refused.code == 1 && refused.output.contains("is attached already"), "\(refused.output)")
    // As runc does after a hook that failed.
    #expect(try call(state("stopped", "")).code == 0)
    #expect(try await controller.sandbox("c1").endpoints.map(\.networkName) == ["blue"])
    // And one that asks for no network is not ours.
    let without = #"{"id": "c1", "status": "stopped", "bundle": "/run/bundle"}"#
    #expect(try call(without).code == 0)
    #expect(try await controller.sandboxes().count == 1)
    end(first)
    #expect(try await runtime.close() == [])
  }

  @Test func containerWhoseRuntimeWasKilledMakesWay() async throws {
    let controller = try await makeNetwork()
    let first = try process(of: "c1")
    #expect(try call(state("creating", "\"pid\": \(first.processIdentifier), ")).code == 0)
    end(first)
    runtime.end("c1")
    let second = try process(of: "c1")
    let again = try call(state("creating", "\"pid\": \(second.processIdentifier), "))
    #expect(again.code == 0, "\(again.output)")
    #expect(try runtime.namespace("c1").links.list().map(\.name) == ["lo", "eth0"])
    #expect(try await controller.inspect("blue").endpoints.count == 1)
    #expect(try call(state("stopped", "")).code == 0)
    end(second)
    #expect(try await runtime.close() == [])
  }

  @Test(arguments: [
    ("", "not a JSON object"), ("[]", "not a JSON object"), ("{}", "id: it is missing"),
    (#"{"id": "../x", "annotations": {}}"#, "not a name of a container"), (#"{"id": 7}"#, "id: it is a number"),
    (#"{"id": "c1", "status": "creating", "pid": -4}"#, "-4 is not a process"),
  ]) func stateThatIsNoneIsRefused(_ input: String, _ words: String) async throws {
    let answer = try call(input)
    #expect(answer.code == 1 && answer.output.contains(words), "\(answer.output)")
    #expect(try await runtime.close() == [])
  }

  @Test(arguments: [
    ("--network red", "no network"), ("--colour red", "--colour"), ("--network blue --ip 10.95.0.9", "10.95.0.9"),
    ("--network blue --publish 80:70000", "70000"), ("blue", "not valid for cnet attach"),
  ]) func annotationThatIsWrongEndsTheContainer(_ words: String, _ reason: String) async throws {
    let controller = try await makeNetwork()
    let first = try process(of: "c1")
    let answer = try call(state("creating", "\"pid\": \(first.processIdentifier), ", words: words))
    #expect(answer.code == 1 && answer.output.contains(reason), "\(answer.output)")
    #expect(try runtime.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try await controller.sandboxes().isEmpty)
    #expect(try call(state("stopped", "", words: words)).code == 0)
    end(first)
    #expect(try await runtime.close() == [])
  }

  /// Killed at some moment of createRuntime: poststop takes away what there is of it.
  @Test func killedInTheMiddleLeavesNothing() async throws {
    let controller = try await makeNetwork()
    let links = try runtime.links()
    let first = try process(of: "c1")
    for round in 0..<30 {
      let hook = try start(state("creating", "\"pid\": \(first.processIdentifier), "))
      usleep(UInt32(round) * 2_000)
      kill(hook.process.processIdentifier, SIGKILL)
      _ = try runtime.finish(hook)
      let ended = try call(state("stopped", ""))
      #expect(ended.code == 0, "round \(round): \(ended.output)")
      #expect(try runtime.links() == links, "round \(round)")
      #expect(try runtime.namespace("c1").links.list().map(\.name) == ["lo"], "round \(round)")
    }
    #expect(try await controller.sandboxes().isEmpty)
    end(first)
    #expect(try await runtime.close() == [])
  }
}
