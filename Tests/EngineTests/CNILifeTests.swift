import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// Containers that come and go by the CNI plugin, on the real kernel.
@Suite(.timeLimit(.minutes(10))) struct CNILifeTests {
  let cni: CNIWorld

  init() throws { cni = try CNIWorld() }

  @Test func secondAddFailsAndTheFirstStaysWhole() async throws {
    let configuration = CNIWorld.configuration()
    let first = try cni.call("ADD", configuration)
    let again = try cni.call("ADD", configuration)
    #expect(again.error == 101 && again.message.contains("on that network already"), "\(again.output)")
    let checked = try cni.call("CHECK", configuration.merging(["prevResult": first.json]) { $1 })
    #expect(checked.code == 0, "\(checked.output)")
    #expect(try cni.world.busybox("ping", "-c", "1", "-W", "4", "10.80.0.2", in: cni.world.host) != nil)
    #expect(try await cni.close() == [])
  }

  @Test func deleteIsForWhatIsGoneToo() async throws {
    let configuration = CNIWorld.configuration()
    #expect(try cni.call("DEL", configuration).code == 0)
    #expect(try cni.call("ADD", configuration).code == 0)
    // The runtime has ended the namespace already, and names none.
    cni.end("c1")
    #expect(try cni.call("DEL", configuration, ["CNI_NETNS": nil]).code == 0)
    #expect(try cni.call("DEL", configuration, ["CNI_NETNS": "/run/netns/long-gone"]).code == 0)
    #expect(try await cni.controller().inspect("blue").endpoints.isEmpty)
    #expect(try await cni.close() == [])
  }

  @Test func containerThatStartsAnewIsTakenOver() async throws {
    let configuration = CNIWorld.configuration()
    #expect(try cni.call("ADD", configuration).addresses == ["10.80.0.2/24"])
    // Its machine's runtime was killed: no DEL, and a new namespace for the same id.
    cni.end("c1")
    let again = try cni.call("ADD", configuration)
    #expect(again.code == 0, "\(again.output)")
    #expect(try cni.namespace("c1").addresses.list().map(\.address.description).contains(again.addresses.first ?? ""))
    #expect(try await cni.controller().inspect("blue").endpoints.count == 1)
    #expect(try await cni.close() == [])
  }

  @Test func portsOfAListAreReachedFromOutside() async throws {
    let configuration = CNIWorld.configuration()
    let added = try cni.call("ADD", configuration)
    let ports = [["hostPort": 8080, "containerPort": 80, "protocol": "tcp"] as [String: Any]]
    let portmap = CNIWorld.configuration(
      type: "portmap", with: ["prevResult": added.json, "runtimeConfig": ["portMappings": ports]])
    let mapped = try cni.call("ADD", portmap)
    #expect(mapped.code == 0 && mapped.addresses == added.addresses, "\(mapped.output)")
    let firewall = try cni.call("ADD", CNIWorld.configuration(type: "firewall", with: ["prevResult": added.json]))
    #expect(firewall.addresses == added.addresses)
    var server = Command("busybox", ["nc", "-l", "-p", "80", "-e", "echo", "hello"])
    server.endsWithParent = true
    let serving = try cni.namespace("c1").spawn(server)
    var heard: String?
    for _ in 0..<100 where heard?.isEmpty ?? true {
      heard = try cni.world.busybox("nc", "-w", "4", Playground.hostAddress, "8080", in: cni.world.outside)
      usleep(50_000)
    }
    #expect(heard == "hello\n")
    try? serving.signal(SIGKILL)
    _ = try serving.wait()
    #expect(try cni.call("CHECK", portmap).code == 0)
    // In the order of a runtime: the last plugin first.
    #expect(try cni.call("DEL", portmap).code == 0)
    #expect(try await cni.controller().sandbox("c1").endpoints.flatMap(\.ports).isEmpty)
    #expect(try cni.call("CHECK", portmap).error == 105)
    #expect(try cni.call("DEL", configuration).code == 0)
    #expect(try cni.call("DEL", portmap).code == 0)
    #expect(try await cni.close() == [])
  }

  @Test func twoNetworksAndTheirPorts() async throws {
    let blue = CNIWorld.configuration()
    let green = CNIWorld.configuration("green", subnet: "10.81.0.0/24")
    let ports = ["portMappings": [["hostPort": 8081, "containerPort": 80]]]
    #expect(try cni.call("ADD", blue.merging(["runtimeConfig": ports]) { $1 }).code == 0)
    // A runtime passes all of a container's ports for each of its networks.
    let second = try cni.call("ADD", green.merging(["runtimeConfig": ports]) { $1 }, ["CNI_IFNAME": "eth1"])
    #expect(second.code == 0, "\(second.output)")
    #expect(try await cni.controller().sandbox("c1").endpoints.map(\.interface.description) == ["eth0", "eth1"])
    #expect(try cni.call("DEL", blue).code == 0)
    #expect(try cni.namespace("c1").links.list().map(\.name) == ["lo", "eth1"])
    #expect(try cni.call("DEL", green, ["CNI_IFNAME": "eth1"]).code == 0)
    #expect(try await cni.controller().sandboxes().isEmpty)
    #expect(try await cni.close() == [])
  }

  @Test func addressesAsTheRuntimeAsks() async throws {
    let configuration = CNIWorld.configuration(
      with: ["runtimeConfig": ["ips": ["10.80.0.77/24", "10.80.0.77"], "mac": "02:00:00:00:00:77"]])
    #expect(try cni.call("ADD", "c1", configuration).addresses == ["10.80.0.77/24"])
    let mac = try cni.namespace("c1").links.get("eth0").macAddress
    #expect(mac?.description == "02:00:00:00:00:77")
    let taken = try cni.call("ADD", "c2", configuration)
    #expect(taken.error == 101 && taken.message.contains("10.80.0.77"), "\(taken.output)")
    let byArguments = try cni.call(
      "ADD", "c3", CNIWorld.configuration(), ["CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.80.0.78;X=1"])
    #expect(byArguments.addresses == ["10.80.0.78/24"], "\(byArguments.output)")
    #expect(try await cni.close() == [])
  }

  @Test func rangeIsKeptAndAnAddBeyondItLeavesNothing() async throws {
    let ipam: [String: Any] = [
      "type": "host-local", "subnet": "10.80.0.0/24", "rangeStart": "10.80.0.10", "rangeEnd": "10.80.0.12",
    ]
    let configuration = CNIWorld.configuration(with: ["ipam": ipam])
    for number in 0...2 {
      let answer = try cni.call("ADD", "c\(number)", configuration)
      #expect(answer.addresses == ["10.80.0.\(10 + number)/24"], "\(answer.output)")
    }
    let links = try cni.links()
    let full = try cni.call("ADD", "c3", configuration)
    #expect(full.error == 102, "\(full.output)")
    #expect(try cni.links() == links)
    #expect(try cni.namespace("c3").links.list().map(\.name) == ["lo"])
    #expect(try cni.call("DEL", "c1", configuration).code == 0)
    #expect(try cni.call("ADD", "c3", configuration).addresses == ["10.80.0.11/24"])
    #expect(try await cni.close() == [])
  }

  @Test func configurationThatChangesMakesTheNetworkAnew() async throws {
    let before = CNIWorld.configuration()
    let after = CNIWorld.configuration(subnet: "10.85.0.0/24")
    #expect(try cni.call("ADD", before).code == 0)
    let refused = try cni.call("ADD", "c2", after)
    #expect(
      refused.error == 7 && refused.message.contains("10.80.0.0/24 there and 10.85.0.0/24 here"), "\(refused.output)")
    #expect(try cni.call("DEL", before).code == 0)
    #expect(try cni.call("ADD", "c2", after).addresses == ["10.85.0.2/24"])
    #expect(try await cni.close() == [])
  }

  @Test func garbageCollectionTakesWhatTheRuntimeForgotAndNothingElse() async throws {
    let configuration = CNIWorld.configuration(version: "1.1.0")
    for name in ["kept", "lost", "gone"] { #expect(try cni.call("ADD", name, configuration).code == 0) }
    cni.end("gone")
    let controller = try await cni.controller()
    // Another program's container on the same network.
    try await controller.attach("own", to: .network("blue"))
    let valid: [String: Any] = ["cni.dev/valid-attachments": [["containerID": "kept", "ifname": "eth0"]]]
    let answer = try cni.call("GC", configuration.merging(valid) { $1 })
    #expect(answer.code == 0 && answer.output.isEmpty, "\(answer.output)")
    #expect(try await controller.inspect("blue").endpoints.map(\.container).sorted() == ["kept", "own"])
    #expect(try cni.namespace("lost").links.list().map(\.name) == ["lo"])
    #expect(try cni.namespace("kept").links.list().map(\.name) == ["lo", "eth0"])
    #expect(try await cni.close() == [])
  }

  @Test func checkFindsWhatSomebodyChanged() async throws {
    let configuration = CNIWorld.configuration()
    let added = try cni.call("ADD", configuration)
    let check = configuration.merging(["prevResult": added.json]) { $1 }
    #expect(try cni.call("CHECK", check).code == 0)
    let namespace = try cni.namespace("c1")
    let link = try namespace.links.get("eth0").index
    try namespace.addresses.remove(InterfaceAddress("10.80.0.2/24"), from: link)
    let found = try cni.call("CHECK", check)
    #expect(found.error == 105, "\(found.output)")
    let stranger = try cni.call("CHECK", "c2", check)
    #expect(stranger.error == 3, "\(stranger.output)")
    let controller = try await cni.controller()
    try await controller.reconcile()
    #expect(try cni.call("CHECK", check).code == 0)
    #expect(try await cni.close() == [])
  }

  @Test func fiftyAtOnce() async throws {
    let configuration = CNIWorld.configuration()
    let input = try JSONSerialization.data(withJSONObject: configuration)
    var running: [(process: Process, output: Pipe)] = []
    for number in 0..<50 {
      let path = try cni.namespace("c\(number)").path.string
      running.append(
        try cni.start(
          [
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c\(number)", "CNI_NETNS": path, "CNI_IFNAME": "eth0",
            "CNI_PATH": "/x",
          ], input))
    }
    var addresses: Set<String> = []
    for (process, output) in running {
      let text = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      let answer = CNIWorld.Answer(code: process.terminationStatus, output: String(decoding: text, as: UTF8.self))
      #expect(answer.code == 0, "\(answer.output)")
      addresses.formUnion(answer.addresses)
    }
    #expect(addresses.count == 50)
    #expect(try await cni.close() == [])
  }

  /// Killed during ADD: DEL removes any remains, and ADD works again.
  @Test func killedInTheMiddleLeavesNothing() async throws {
    let configuration = CNIWorld.configuration()
    #expect(try cni.call("ADD", "other", configuration).code == 0)
    let links = try cni.links()
    let input = try JSONSerialization.data(withJSONObject: configuration)
    let path = try cni.namespace("c1").path.string
    let environment = [
      "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": path, "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
    ]
    for round in 0..<40 {
      let (process, output) = try cni.start(environment, input)
      usleep(UInt32(round) * 1_000)
      kill(process.processIdentifier, SIGKILL)
      _ = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      let ended = try cni.call("DEL", configuration)
      #expect(ended.code == 0, "round \(round): \(ended.output)")
      #expect(try cni.links() == links, "round \(round)")
      #expect(try cni.namespace("c1").links.list().map(\.name) == ["lo"], "round \(round)")
    }
    let again = try cni.call("ADD", configuration)
    #expect(again.code == 0, "\(again.output)")
    #expect(try await cni.close() == [])
  }
}
