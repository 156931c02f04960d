import ContainerNetworking
import ContainerNetworkingTestKit
import Synchronization
import SystemPackage
import Testing

@Suite struct RuntimeTests {
  private let kernel = SimulatedKernel()
  private let launched = Launched()

  /// What the runtime launched, in place of launching it.
  private final class Launched: Sendable {
    let names = Mutex<[String]>([])
  }

  /// A runtime on a simulated host, with a network of its own.
  private func makeRuntime() async throws -> Runtime {
    let controller = try await NetworkController(host: .create(on: kernel))
    try await controller.createNetwork("apps", options: NetworkOptions(subnet: Subnet("10.9.0.0/24")))
    return Runtime(controller: controller) { [launched] container, _ in
      launched.names.withLock {
        $0.append(container)
        return Int32($0.count)
      }
    }
  }
}

extension RuntimeTests {
  @Test func containerIsOnTheNetworkWhenItsProgramStarts() async throws {
    let runtime = try await makeRuntime()
    let web = try await runtime.start("web", on: .network("apps"), ports: ["8080:80"])
    #expect(web.address?.description == "10.9.0.2/24")
    #expect(launched.names.withLock { $0 } == ["web"])

    // The same namespace, as a program would find it inside.
    let sandbox = try await runtime.controller.sandbox("web")
    let inside = try NetworkNamespace.open(at: sandbox.namespace.path, on: kernel)
    #expect(try inside.links.list().map(\.name) == ["lo", "eth0"])

    let error = await #expect(throws: NetworkError.self) {
      try await runtime.start("other", on: .network("apps"), ports: ["8080:80"])
    }
    #expect(error?.code == .inUse)
  }
}

extension RuntimeTests {
  @Test func stopLeavesNothing() async throws {
    let runtime = try await makeRuntime()
    let before = kernel.snapshot()
    _ = try await runtime.start("web", on: .network("apps"))
    let during = kernel.snapshot()
    #expect(during.contains("address 10.9.0.2/24"))
    try await runtime.stop("web")
    let after = kernel.snapshot()
    #expect(after == before)
  }

  @Test func programThatCannotBeLaunchedLeavesNothing() async throws {
    struct NoSuchProgram: Error {}
    let controller = try await makeRuntime().controller
    let runtime = Runtime(controller: controller) { _, _ in throw NoSuchProgram() }
    let before = kernel.snapshot()
    await #expect(throws: NoSuchProgram.self) { try await runtime.start("web", on: .network("apps")) }
    let after = kernel.snapshot()
    #expect(after == before)
  }
}

extension RuntimeTests {
  @Test func refusalOfTheKernelSaysWhy() async throws {
    let runtime = try await makeRuntime()
    kernel.inject(.noMemory, on: RequestType.newAddress)
    let error = await #expect(throws: NetworkError.self) {
      try await runtime.start("web", on: .network("apps"))
    }
    #expect(error?.code == .kernelRefused)
    #expect(error?.description.contains("RTM_NEWADDR") == true)
    #expect(launched.names.withLock { $0 } == [])

    // A fault comes as often as was asked for: the next try works.
    _ = try await runtime.start("web", on: .network("apps"))
  }

  @Test func whicheverRequestFailsNothingIsLeft() async throws {
    let runtime = try await makeRuntime()
    let before = kernel.snapshot()
    let count = kernel.requestCount
    _ = try await runtime.start("web", on: .network("apps"), ports: ["8080:80"])
    let needed = kernel.requestCount - count
    try await runtime.stop("web")

    for number in 1...needed {
      kernel.failRequest(number: number)
      // A request that only looks may fail without harm.
      let started = try? await runtime.start("web", on: .network("apps"), ports: ["8080:80"])
      kernel.clearFaults()
      if started != nil { try await runtime.stop("web") }
      let after = kernel.snapshot()
      #expect(after == before, "after request \(number) of \(needed) failed")
    }
  }
}

extension RuntimeTests {
  @Test func tableThatKeepsChangingIsReadAgain() async throws {
    let runtime = try await makeRuntime()
    kernel.interruptDumps(times: 3)
    _ = try await runtime.start("web")  // makes the default network, for which it looks at the host's routes
    kernel.clearFaults()
    try await runtime.controller.removeAll()

    kernel.interruptDumps(times: 1000)
    let error = await #expect(throws: NetworkError.self) { try await runtime.start("web") }
    #expect(error?.code == .interrupted)
  }

  @Test func changeWhoseAnswerIsLostIsTakenBack() async throws {
    let runtime = try await makeRuntime()
    let before = kernel.snapshot()
    kernel.loseAnswers(times: 1)
    let error = await #expect(throws: NetworkError.self) { try await runtime.start("web", on: .network("apps")) }
    #expect(error?.code == .replyLost)
    let after = kernel.snapshot()
    #expect(after == before)
  }
}

extension RuntimeTests {
  @Test func withoutPrivilegeItSaysSoAndLaunchesNothing() async throws {
    let kernel = SimulatedKernel(privileged: false)
    let before = kernel.snapshot()
    let controller = try await NetworkController(host: .current(on: kernel))
    let runtime = Runtime(controller: controller) { _, _ in
      Issue.record("launched without a network")
      return 1
    }
    let error = await #expect(throws: NetworkError.self) { try await runtime.start("web") }
    #expect(error?.code == .permissionDenied)
    let after = kernel.snapshot()
    #expect(after == before)
  }
}

extension RuntimeTests {
  @Test func noThreadStaysInANamespace() async throws {
    let runtime = try await makeRuntime()
    _ = try await runtime.start("web", on: .network("apps"))
    #expect(try LeakDetector.threadsOutside() == [])
  }
}
