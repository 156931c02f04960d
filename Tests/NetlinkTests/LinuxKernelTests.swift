import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage
import TestSupport
import Testing

/// On the real kernel, in namespaces that each test makes. Needs CAP_SYS_ADMIN.
@Suite(.timeLimit(.minutes(10))) struct LinuxKernelTests {
  let kernel = LinuxKernel()

  private func linkRequest(_ type: UInt16, index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(4)
    body.append(index)
    body.append(flags)
    body.append(change)
    return NetlinkRequest(type: type, body: body.bytes, name: "RTM_\(type)", purpose: "test")
  }

  @Test func newNamespaceHasOnlyLoopback() throws {
    let namespace = try kernel.makeNamespace()
    let links = try NetlinkConnection(.route, in: namespace, of: kernel).dump(linkRequest(18))
    let names = try links.map { try Attributes($0.payload.dropFirst(16))[type: 3]?.string }
    #expect(names == ["lo"])
  }

  @Test func callingThreadStaysWhereItIs() throws {
    let before = try kernel.currentNamespace().identity
    let namespace = try kernel.makeNamespace()
    #expect(namespace.identity != before)
    _ = try kernel.openSocket(.route, in: namespace)
    #expect(try kernel.currentNamespace().identity == before)
  }

  /// The usual meaning of an errno is omitted if the kernel gives its own.
  @Test func theKernelsSentenceIsNotOverruled() throws {
    let namespace = try kernel.makeNamespace()
    try kernel.writeSysctl("net/ipv6/conf/lo/disable_ipv6", to: "1", in: namespace)
    let connection = try NetlinkConnection(.route, in: namespace, of: kernel)
    let address = try InterfaceAddress("fd00::2/64")
    let error = #expect(throws: NetworkError.self) { try connection.execute(AddressRequests.add(address, to: 1)) }
    #expect(error?.description.contains("IPv6 is disabled on this device") == true, "\(error as Any)")
    #expect(error?.description.contains("run as root") == false, "\(error as Any)")
  }

  @Test func refusalCarriesErrnoRequestAndPurpose() throws {
    let namespace = try kernel.makeNamespace()
    let connection = try NetlinkConnection(.route, in: namespace, of: kernel)
    let error = #expect(throws: NetworkError.self) { try connection.execute(linkRequest(18, index: 4711)) }
    #expect(error?.code == .notFound)
    #expect(error?.kernel?.errno == Errno(rawValue: ENODEV))
    #expect(error?.kernel?.request == "RTM_18")
  }

  @Test func batchGoesOnAfterARefusal() throws {
    let namespace = try kernel.makeNamespace()
    let connection = try NetlinkConnection(.route, in: namespace, of: kernel)
    let up = linkRequest(16, index: 1, flags: 1, change: 1)
    let outcomes = try connection.perform([linkRequest(16, index: 4711), up] + Array(repeating: up, count: 300))
    #expect(outcomes.count == 302)
    #expect(outcomes[0].error?.code == .notFound)
    #expect(outcomes.dropFirst().allSatisfy { $0.error == nil })
  }

  @Test func sysctlsAreThoseOfTheNamespace() throws {
    let first = try kernel.makeNamespace()
    let second = try kernel.makeNamespace()
    try kernel.writeSysctl("net/ipv4/ip_forward", to: "1", in: first)
    #expect(try kernel.readSysctl("net/ipv4/ip_forward", in: first) == "1")
    #expect(try kernel.readSysctl("net/ipv4/ip_forward", in: second) == "0")
    #expect(throws: NetworkError.self) { try kernel.readSysctl("kernel/hostname", in: first) }
    #expect(throws: NetworkError.self) { try kernel.readSysctl("net/../kernel/hostname", in: first) }
  }

  /// A list may be longer than a page of memory.
  @Test func longSysctlsAreReadWhole() throws {
    let namespace = try kernel.makeNamespace()
    let name = "net/ipv4/ip_local_reserved_ports"
    let text = stride(from: 10_001, to: 30_000, by: 2).map(String.init).joined(separator: ",")
    #expect(text.utf8.count > 50_000)
    try kernel.writeSysctl(name, to: text, in: namespace)
    #expect(try kernel.readSysctl(name, in: namespace) == text)
  }

  @Test func pinnedNamespaceOutlivesItsHandle() throws {
    let path = FilePath("/tmp/cn-pin-\(getpid())-\(UInt32.random(in: 0 ... .max))")
    let identity: NamespaceIdentity
    do {
      let namespace = try kernel.makeNamespace()
      try kernel.pinNamespace(namespace, at: path)
      identity = namespace.identity
      let again = #expect(throws: NetworkError.self) { try kernel.pinNamespace(namespace, at: path) }
      #expect(again?.code == .alreadyExists)
    }
    #expect(try kernel.openNamespace(at: path).identity == identity)
    try kernel.unpinNamespace(at: path)
    #expect(throws: NetworkError.self) { try kernel.openNamespace(at: path) }
  }

  @Test func aFileThatIsNoNamespaceIsNamed() {
    let error = #expect(throws: NetworkError.self) { try kernel.openNamespace(at: "/proc/self/ns/mnt") }
    #expect(error?.code == .invalidValue)
    #expect(error?.reason.contains("/proc/self/ns/mnt") == true)
    #expect(throws: NetworkError.self) { try kernel.unpinNamespace(at: "/etc/passwd") }
  }

  @Test func spawnedProgramIsInsideTheNamespace() throws {
    let namespace = try kernel.makeNamespace()
    var command = Command("sh", ["-c", "test \"$(readlink /proc/self/ns/net)\" = '\(namespace.identity)' && exit 7"])
    #expect(try kernel.spawn(command, in: namespace).wait(timeout: Patience.limit) == .exited(7))
    command = Command("/does/not/exist")
    let error = #expect(throws: NetworkError.self) { try kernel.spawn(command, in: namespace) }
    #expect(error?.code == .notFound)
    let sleeper = try kernel.spawn(Command("sleep", ["60"]), in: namespace)
    try sleeper.signal(SIGKILL)
    #expect(try sleeper.wait(timeout: Patience.limit) == .signaled(SIGKILL))
  }

  @Test func eventsComeUntilInterrupted() throws {
    let namespace = try kernel.makeNamespace()
    let events = try kernel.openSocket(.route, in: namespace)
    try events.join(group: 1)
    let connection = try NetlinkConnection(.route, in: namespace, of: kernel)
    try connection.execute(linkRequest(16, index: 1, flags: 1, change: 1))
    let event = try #require(try events.nextEvent())
    #expect(try NetlinkMessage.parse(event[...]).first?.type == 16)
    events.interrupt()
    #expect(try events.nextEvent() == nil)
  }
}
