import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import SystemPackage
import Testing

/// Namespaces by path, name and process: the same on every kernel.
@Suite struct NamespaceContract {
  private func refusal<Value>(_ body: () throws -> Value) -> NetworkError? {
    #expect(throws: NetworkError.self) { _ = try body() }
  }

  @Test(arguments: KernelUnderTest.available) func pinsAtAnyPath(_ which: KernelUnderTest) throws {
    let kernel = which.make()
    let path = FilePath("/tmp/cn-pin-\(UUID().uuidString)")
    let identity: NamespaceIdentity
    do {
      let namespace = try NetworkNamespace.create(on: kernel)
      try namespace.links.createBridge(InterfaceName("br0"))
      try namespace.pin(at: path)
      identity = namespace.identity
      #expect(refusal { try namespace.pin(at: path) }?.code == .alreadyExists)
    }
    let again = try NetworkNamespace.open(at: path, on: kernel)
    #expect(again.identity == identity)
    #expect(try again.links.get("br0").kind == "bridge")
    try NetworkNamespace.unpin(at: path, on: kernel)
    #expect(refusal { try NetworkNamespace.open(at: path, on: kernel) }?.code == .notFound)
    #expect(refusal { try NetworkNamespace.unpin(at: path, on: kernel) }?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func byProcessAndByPath(_ which: KernelUnderTest) throws {
    let kernel = which.make()
    let current = try NetworkNamespace.current(on: kernel)
    let own = ProcessInfo.processInfo.processIdentifier
    #expect(try NetworkNamespace.open(process: own, on: kernel).identity == current.identity)
    let made = try NetworkNamespace.create(on: kernel)
    #expect(try NetworkNamespace.open(at: made.path, on: kernel).identity == made.identity)
    #expect(made.identity != current.identity)
  }

  @Test(arguments: KernelUnderTest.available) func whatIsNotThereIsNamed(_ which: KernelUnderTest) throws {
    let kernel = which.make()
    let process = refusal { try NetworkNamespace.open(process: .max, on: kernel) }
    #expect(process?.code == .notFound)
    #expect(process?.reason.hasPrefix("there is no process 2147483647;") == true)
    let path = refusal { try NetworkNamespace.open(at: "/nowhere/at/all", on: kernel) }
    #expect(path?.code == .notFound)
    #expect(path?.reason.hasPrefix("there is no file /nowhere/at/all;") == true)
    let name = refusal { try NetworkNamespace.open(name: "cn-absent", on: kernel) }
    #expect(name?.code == .notFound)
    #expect(name?.reason.hasPrefix("there is no file /run/netns/cn-absent;") == true)
  }

  @Test(.enabled(if: KernelUnderTest.available.contains(.linux)))
  func aFileThatIsNoNamespaceIsNamed() throws {
    for path: FilePath in ["/proc/self/ns/mnt", "/etc/passwd", "/tmp"] {
      let error = refusal { try NetworkNamespace.open(at: path) }
      #expect(error?.code == .invalidValue)
      #expect(error?.reason.hasPrefix("\(path) is not a network namespace") == true)
    }
    #expect(refusal { try NetworkNamespace.unpin(at: "/etc/passwd") }?.code == .refused)
  }

  @Test func simulatedNames() throws {
    let kernel = SimulatedKernel()
    let blue = try NetworkNamespace.create(on: kernel)
    try blue.pin(name: "blue")
    try blue.pin(at: "/run/elsewhere/red")
    #expect(try NetworkNamespace.named(on: kernel) == [NamedNamespace(name: "blue", identity: blue.identity)])
    try NetworkNamespace.unpin(name: "blue", on: kernel)
    #expect(try NetworkNamespace.named(on: kernel).isEmpty)
  }

  /// In mounts of its own, so that the machine's `/run/netns` is neither seen nor touched.
  @Test(.enabled(if: KernelUnderTest.available.contains(.linux) && Subprocess.inside == nil))
  func namesAreThoseOfIP() throws {
    let mounts = "mount -t tmpfs cn-test /run && exec \"$0\" \"$@\""
    try Subprocess.run("NamesInside", by: ["unshare", "-m", "sh", "-c", mounts])
  }
}

/// Runs with an empty, private `/run`.
@Suite(.enabled(if: Subprocess.inside == "NamesInside")) struct NamesInside {
  @Test func namesAreThoseOfIP() throws {
    func listed() throws -> Set<String> {
      let text = try #require(try Subprocess.output("ip", "netns", "list"))
      return Set(text.split(separator: "\n").map { String($0.prefix { $0 != " " }) })
    }
    #expect(try NetworkNamespace.named().isEmpty)
    let blue = try NetworkNamespace.create()
    try blue.pin(name: "blue")
    #expect(try listed() == ["blue"])
    let taken = #expect(throws: NetworkError.self) { try blue.pin(name: "blue") }
    #expect(taken?.code == .alreadyExists)

    #expect(try Subprocess.output("ip", "netns", "add", "green") != nil)
    let green = try NetworkNamespace.open(name: "green")
    #expect(
      try NetworkNamespace.named() == [
        NamedNamespace(name: "blue", identity: blue.identity), NamedNamespace(name: "green", identity: green.identity),
      ])
    try green.links.createBridge(InterfaceName("br0"))
    #expect(try Subprocess.output("ip", "-n", "green", "link", "show", "br0") != nil)
    #expect(try Subprocess.output("ip", "-n", "blue", "link", "add", "br1", "type", "bridge") != nil)
    #expect(try blue.links.list().map(\.name) == ["lo", "br1"])

    // A foreign file is not a namespace, and stays.
    try "data".write(toFile: "/run/netns/file", atomically: false, encoding: .utf8)
    #expect(try NetworkNamespace.named().map(\.name) == ["blue", "green"])
    let file = #expect(throws: NetworkError.self) { try NetworkNamespace.open(name: "file") }
    #expect(file?.code == .invalidValue)
    let kept = #expect(throws: NetworkError.self) { try NetworkNamespace.unpin(name: "file") }
    #expect(kept?.code == .refused)
    #expect(try String(contentsOfFile: "/run/netns/file", encoding: .utf8) == "data")
    try FileManager.default.removeItem(atPath: "/run/netns/file")

    #expect(try Subprocess.output("ip", "netns", "del", "blue") != nil)
    #expect(try NetworkNamespace.named().map(\.name) == ["green"])
    try NetworkNamespace.unpin(name: "green")
    #expect(try NetworkNamespace.named().isEmpty)
    #expect(try listed().isEmpty)
  }
}
