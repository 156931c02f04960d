import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// `namespace.routes`: the same on every kernel.
@Suite struct RouteServiceContract {
  /// A namespace with a link that carries packets and has 10.0.0.1/24, 10.0.0.9/24 and fd00::1/64.
  private func make(_ kernel: KernelUnderTest) throws -> (NetworkNamespace, Int32) {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let pair = try namespace.links.createVeth(VethEnd(InterfaceName("a")), peer: VethEnd(InterfaceName("b")))
    for index in [pair.index, try #require(pair.peer)] { try namespace.links.setUp(index: index) }
    for text in ["10.0.0.1/24", "10.0.0.9/24", "fd00::1/64"] {
      try namespace.addresses.add(InterfaceAddress(text), to: pair.index)
    }
    return (namespace, pair.index)
  }

  private func refusal<Value>(_ body: () throws -> Value) -> NetworkError? {
    #expect(throws: NetworkError.self) { _ = try body() }
  }

  @Test(arguments: KernelUnderTest.available) func wayOfAnAddress(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    func way(_ text: String) throws -> Route {
      var route = try namespace.routes.get(to: IPAddress(text))
      route.metric = nil
      return route
    }
    let own = try IPAddress("10.0.0.1")
    let near = Route(to: try Subnet("10.0.0.7/32"), link: link, preferredSource: own)
    #expect(try way("10.0.0.7") == near)
    let mine = try way("10.0.0.1")
    #expect(mine.kind == .local)
    // Until a rule exists, the kernel keeps the local table within main.
    #expect([254, 255].contains(mine.table))
    #expect(mine.link == 1)
    #expect(refusal { try way("10.9.1.1") }?.code == .notFound)

    let gateway = try IPAddress("10.0.0.2")
    let source = try IPAddress("10.0.0.9")
    try namespace.routes.add(Route(to: Subnet("10.9.0.0/16"), via: gateway, link: link, preferredSource: source))
    try namespace.routes.add(Route(to: Subnet("10.9.9.0/24"), via: gateway, link: link))
    let far = Route(to: try Subnet("10.9.1.1/32"), via: gateway, link: link, preferredSource: source)
    #expect(try way("10.9.1.1") == far)
    #expect(try way("10.9.9.1").preferredSource == own)

    let six = try way("fd00::5")
    #expect(six.link == link && six.gateway == nil && six.destination.description == "fd00::5/128")
    #expect(six.preferredSource?.description == "fd00::1")
    #expect(refusal { try way("fd09::5") }?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func routesThatLeadNowhere(_ kernel: KernelUnderTest) throws {
    let (namespace, _) = try make(kernel)
    let cases: [(Route.Kind, String, String, Int32, NetworkError.Code)] = [
      (.blackhole, "10.7.0.0/16", "10.7.1.1", 22, .kernelRefused),
      (.unreachable, "10.8.0.0/16", "10.8.1.1", 113, .notFound),
      (.prohibit, "10.9.0.0/16", "10.9.1.1", 13, .kernelRefused),
      (.blackhole, "fd07::/48", "fd07::1", 22, .kernelRefused),
      (.unreachable, "fd08::/48", "fd08::1", 113, .notFound),
      (.prohibit, "fd09::/48", "fd09::1", 13, .kernelRefused),
    ]
    for (kind, destination, address, errno, code) in cases {
      let route = Route(to: try Subnet(destination), metric: 50, kind: kind)
      try namespace.routes.add(route)
      #expect(try namespace.routes.list().contains { $0.kind == kind && $0.destination == route.destination })
      let error = refusal { try namespace.routes.get(to: IPAddress(address)) }
      #expect(error?.kernel?.errno == Errno(rawValue: errno), "\(address)")
      #expect(error?.code == code)
      #expect(error?.reason.contains("\(kind)") == true && error?.reason.contains(address) == true)
      try namespace.routes.delete(route)
      #expect(try !namespace.routes.list().contains { $0.destination == route.destination })
    }
  }

  @Test(arguments: KernelUnderTest.available) func replacing(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    func routes(_ destination: Subnet) throws -> [Route] {
      try namespace.routes.list(family: destination.family).filter { $0.destination == destination }
    }
    for (destination, first, second) in [
      ("10.9.0.0/16", "10.0.0.2", "10.0.0.3"), ("fd09::/48", "fd00::2", "fd00::3"),
    ] {
      let destination = try Subnet(destination)
      var route = Route(to: destination, via: try IPAddress(first), link: link, metric: 5)
      try namespace.routes.replace(route)
      #expect(try routes(destination) == [route])
      route.gateway = try IPAddress(second)
      #expect(refusal { try namespace.routes.add(route) }?.code == .alreadyExists)
      try namespace.routes.replace(route)
      #expect(try routes(destination) == [route])
      var other = route
      other.metric = 6
      try namespace.routes.replace(other)
      #expect(try routes(destination).count == 2)
    }
  }

  @Test(arguments: KernelUnderTest.available) func tablesAndFamilies(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    let four = Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("10.0.0.2"), link: link, table: 100)
    let six = Route(to: try Subnet("fd09::/48"), via: try IPAddress("fd00::2"), link: link, metric: 9, table: 4000)
    try namespace.routes.add(four)
    try namespace.routes.add(six)
    #expect(try namespace.routes.list(table: 100) == [four])
    #expect(try namespace.routes.list(table: 100, family: .ipv4) == [four])
    #expect(try namespace.routes.list(table: 100, family: .ipv6).isEmpty)
    #expect(try namespace.routes.list(table: 4000) == [six])
    #expect(try namespace.routes.list(table: 4711).isEmpty)
    let main = try namespace.routes.list(table: 254, family: .ipv4)
    #expect(main.map(\.destination.description) == ["10.0.0.0/24"])
    let families = Set(try namespace.routes.list().map(\.destination.family))
    #expect(families == [.ipv4, .ipv6])
    #expect(try namespace.routes.list(family: .ipv6).allSatisfy { $0.destination.family == .ipv6 })
  }

  @Test(arguments: KernelUnderTest.available) func sourceMustBeOurs(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    for (destination, source) in [("10.9.0.0/16", "10.0.0.77"), ("fd09::/48", "fd00::77")] {
      let route = Route(to: try Subnet(destination), link: link, preferredSource: try IPAddress(source))
      #expect(refusal { try namespace.routes.add(route) }?.kernel?.errno == .invalidArgument)
      #expect(try !namespace.routes.list().contains { $0.destination == route.destination })
    }
  }
}
