import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// Faults are refused with the value, the rule and a right value, and nothing is changed.
@Suite struct BadInputContract {
  /// All that a namespace holds.
  private struct Content: Equatable {
    var links: [Link]
    var addresses: [AssignedAddress]
    var routes: [Route]
    var neighbors: [Neighbor]

    init(_ namespace: NetworkNamespace) throws {
      links = try namespace.links.list().map { link in
        var link = link
        link.statistics = nil
        link.kindAttributes = nil
        return link
      }
      addresses = try namespace.addresses.list()
      routes = try namespace.routes.list()
      neighbors = try namespace.neighbors.list().filter { $0.state == .permanent }
    }
  }

  @Test(arguments: KernelUnderTest.available) func valuesAreChecked(_ which: KernelUnderTest) throws {
    let kernel = which.make()
    let namespace = try NetworkNamespace.create(on: kernel)
    let link = try namespace.links.createBridge(InterfaceName("br0"), macAddress: MACAddress("02:00:00:00:00:01")).index
    let name = try InterfaceName("br1")
    let (four, six) = (try IPAddress("10.0.0.2"), try IPAddress("fd00::2"))
    let net = try Subnet("10.9.0.0/16")
    let group = try MACAddress("01:00:5e:00:00:01")
    let zero = try MACAddress("00:00:00:00:00:00")
    func neighbor(_ address: IPAddress, _ mac: MACAddress?) throws -> Neighbor {
      var neighbor = Neighbor(address, macAddress: try MACAddress("02:00:00:00:00:02"), link: link)
      neighbor.macAddress = mac
      return neighbor
    }
    var hello = BridgeOptions()
    hello.helloTime = .seconds(11)
    var cost = BridgePortOptions()
    cost.cost = 0
    var lifetime = AddressOptions()
    lifetime.validLifetime = .milliseconds(1500)
    var label = AddressOptions()
    label.label = "eth0:1"
    let cases: [(String, () throws -> Void)] = [
      (
        "\"a-name-much-too-long\" has 20 bytes; an interface name has at most 15",
        { _ = try namespace.links.get("a-name-much-too-long") }
      ),
      ("\"\" is empty; an interface name has 1 to 15 bytes", { _ = try namespace.links.get("") }),
      ("\"a/b\" has \"/\" in it", { _ = try InterfaceName("a/b") }),
      ("the MTU is 67; it is 68 to 65535 bytes", { try namespace.links.createBridge(name, mtu: 67) }),
      (
        "the MTU is 65537; it is 68 to 65535 bytes",
        { try namespace.links.createVeth(VethEnd(name), peer: VethEnd(InterfaceName("br2")), mtu: 65537) }
      ),
      (
        "the MTU is 0; it is 68 to 65535 bytes",
        { try namespace.links.createMacvlan(VethEnd(name), parent: link, mtu: 0) }
      ),
      ("the MTU is 1; it is 68 to 65535 bytes", { try namespace.links.setMTU(1, of: link) }),
      (
        "01:00:5e:00:00:01 is a multicast address; an interface has an address of its own",
        { try namespace.links.setMACAddress(group, of: link) }
      ),
      (
        "00:00:00:00:00:00 is all zeros; an interface has", { try namespace.links.createBridge(name, macAddress: zero) }
      ),
      (
        "the alias has 256 bytes; it has at most 255",
        { try namespace.links.setAlias(String(repeating: "a", count: 256), of: link) }
      ),
      ("group 0 holds every link without a group of its own", { try namespace.links.delete(group: 0) }),
      ("the hello time is 11.0 seconds; it is 1 to 10 seconds", { try namespace.links.changeBridge(link, hello) }),
      ("the cost is 0; it is 1 to 65535", { try namespace.links.changeBridgePort(link, cost) }),
      ("10.0.0.1/33", { try namespace.addresses.add(InterfaceAddress("10.0.0.1/33"), to: link) }),
      ("10.0.0/24", { try namespace.addresses.add(InterfaceAddress("10.0.0/24"), to: link) }),
      ("fd00::g", { _ = try namespace.routes.get(to: IPAddress("fd00::g")) }),
      (
        "the valid lifetime is 1.5 seconds; it is a whole number of seconds",
        { try namespace.addresses.add(InterfaceAddress("10.0.0.1/24"), to: link, options: lifetime) }
      ),
      (
        "label \"eth0:1\": an IPv6 address has none",
        { try namespace.addresses.replace(InterfaceAddress("fd00::1/64"), of: link, options: label) }
      ),
      (
        "the gateway, fd00::2, is of another family than 10.9.0.0/16",
        { try namespace.routes.add(Route(to: net, via: six, link: link)) }
      ),
      ("a route of kind unicast has a gateway or a link; it has neither", { try namespace.routes.add(Route(to: net)) }),
      (
        "a route of kind blackhole leads nowhere; leave its gateway out",
        { try namespace.routes.replace(Route(to: net, via: four, kind: .blackhole)) }
      ),
      ("there is no table 0; 254 is main", { try namespace.routes.add(Route(to: net, link: link, table: 0)) }),
      ("it has no hardware address; give it one", { try namespace.neighbors.add(neighbor(four, nil)) }),
      (
        "224.0.0.1 is a multicast address; a neighbour has an address of its own",
        { try namespace.neighbors.replace(neighbor(IPAddress("224.0.0.1"), group)) }
      ),
      (
        "\"a/b\" is not a file name; give one of 1 to 255 bytes without a slash",
        { _ = try NetworkNamespace.open(name: "a/b", on: kernel) }
      ),
      ("\"\" is not a file name", { try namespace.pin(name: "") }),
      ("\"blue\" is not an absolute path of a file", { try namespace.pin(at: "blue") }),
      ("0 is not a process id; ids are 1 and up", { _ = try NetworkNamespace.open(process: 0, on: kernel) }),
      ("70000", { _ = try PortMapping("70000:80") }),
      ("\"x\"", { _ = try PortMapping("x:80") }),
    ]
    let before = try Content(namespace)
    for (reason, body) in cases {
      let error = #expect(throws: NetworkError.self, "\(reason)", performing: body)
      #expect(error?.code == .invalidValue, "\(reason)")
      #expect(error?.reason.contains(reason) == true, "\(String(describing: error)) instead of \(reason)")
    }
    let after = try Content(namespace)
    #expect(after == before)
  }

  /// Every change that needs a privilege, on a namespace with its `lo`.
  static func changes(of namespace: NetworkNamespace) throws -> [(String, () throws -> Void)] {
    let address = try InterfaceAddress("10.0.0.1/24")
    let neighbor = Neighbor(try IPAddress("10.0.0.2"), macAddress: try MACAddress("02:00:00:00:00:02"), link: 1)
    let route = Route(to: try Subnet("10.9.0.0/16"), kind: .blackhole)
    let name = try InterfaceName("br0")
    return [
      ("CAP_SYS_ADMIN", { _ = try NetworkNamespace.create(on: namespace.kernel) }),
      ("root", { try namespace.pin(at: "/tmp/cn-never") }),
      ("root", { try namespace.setSysctl("net/ipv4/ip_forward", to: "1") }),
      ("CAP_NET_ADMIN", { try namespace.links.createBridge(name) }),
      ("CAP_NET_ADMIN", { try namespace.links.createVeth(VethEnd(name), peer: VethEnd(InterfaceName("br1"))) }),
      ("CAP_NET_ADMIN", { try namespace.links.setUp(index: 1) }),
      ("CAP_NET_ADMIN", { try namespace.links.setMTU(1500, of: 1) }),
      ("CAP_NET_ADMIN", { try namespace.links.delete(group: 7) }),
      ("CAP_NET_ADMIN", { try namespace.addresses.add(address, to: 1) }),
      ("CAP_NET_ADMIN", { try namespace.addresses.replace(address, of: 1) }),
      ("CAP_NET_ADMIN", { try namespace.addresses.remove(address, from: 1) }),
      ("CAP_NET_ADMIN", { try namespace.routes.add(route) }),
      ("CAP_NET_ADMIN", { try namespace.routes.delete(route) }),
      ("CAP_NET_ADMIN", { try namespace.neighbors.add(neighbor) }),
      ("CAP_NET_ADMIN", { try namespace.neighbors.delete(neighbor.address, on: 1) }),
      (
        "CAP_NET_ADMIN",
        {
          var changes = NftTransaction()
          try changes.add(NftTable(family: .inet, name: "t"))
          try changes.commit(over: namespace.connection(.netfilter))
        }
      ),
    ]
  }

  static func expectPrivilegeIsAskedFor(_ namespace: NetworkNamespace) throws {
    let before = try Content(namespace)
    for (number, (remedy, body)) in try changes(of: namespace).enumerated() {
      let error = #expect(throws: NetworkError.self, "change \(number)", performing: body)
      #expect(error?.code == .permissionDenied, "change \(number): \(String(describing: error))")
      #expect(error?.reason.contains(remedy) == true, "change \(number): \(String(describing: error))")
    }
    let after = try Content(namespace)
    #expect(after == before)
  }

  @Test func simulatedWithoutPrivilege() throws {
    try Self.expectPrivilegeIsAskedFor(NetworkNamespace.current(on: SimulatedKernel(privileged: false)))
  }

  @Test(.enabled(if: KernelUnderTest.available.contains(.linux) && Subprocess.inside == nil))
  func withoutPrivilege() throws {
    // A user namespace of its own leaves it no privilege over the network namespace that it runs in.
    try Subprocess.run("UnprivilegedInside", by: ["unshare", "-U"])
  }
}

/// Runs without any privilege, in a network namespace that the test made.
@Suite(.enabled(if: Subprocess.inside == "UnprivilegedInside")) struct UnprivilegedInside {
  @Test func privilegeIsAskedFor() throws {
    let namespace = try NetworkNamespace.current()
    // Were this not the test's own namespace, there would be more in it.
    try #require(try namespace.links.list().map(\.name) == ["lo"])
    try BadInputContract.expectPrivilegeIsAskedFor(namespace)
  }
}
