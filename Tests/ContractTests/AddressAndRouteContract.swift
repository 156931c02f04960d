import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// Addresses and routes: the same on every kernel.
@Suite struct AddressAndRouteContract {
  /// A namespace with a bridge that is up and has no link-local address.
  private func make(_ kernel: KernelUnderTest) throws -> (Contract, Int32) {
    let contract = try Contract(kernel)
    let bridge = try contract.makeBridge("br0")
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    try contract.route.execute(LinkRequests.change(bridge.index, quiet))
    try contract.route.execute(LinkRequests.change(bridge.index, LinkChange(isUp: true)))
    return (contract, bridge.index)
  }

  @Test(arguments: KernelUnderTest.available) func addresses(_ kernel: KernelUnderTest) throws {
    let (contract, link) = try make(kernel)
    for text in ["10.0.0.1/24", "10.0.0.1/16", "fd00::1/64"] {
      try contract.route.execute(AddressRequests.add(InterfaceAddress(text), to: link))
    }
    #expect(Set(try contract.addresses()) == ["10.0.0.1/24", "10.0.0.1/16", "fd00::1/64"])
    for text in ["10.0.0.1/24", "fd00::1/64"] {
      let address = try InterfaceAddress(text)
      #expect(contract.refusal(AddressRequests.add(address, to: link))?.kernel?.errno == .fileExists)
      try contract.route.execute(AddressRequests.remove(address, from: link))
      #expect(contract.refusal(AddressRequests.remove(address, from: link))?.kernel?.errno == Errno(rawValue: 99))
      #expect(contract.refusal(AddressRequests.add(address, to: 4711))?.kernel?.errno == Errno(rawValue: 19))
    }
    #expect(try contract.addresses() == ["10.0.0.1/16"])
  }

  @Test(arguments: KernelUnderTest.available) func connectedRoutesFollowAddresses(_ kernel: KernelUnderTest) throws {
    let (contract, link) = try make(kernel)
    let address = try InterfaceAddress("10.0.0.1/24")
    try contract.route.execute(AddressRequests.add(address, to: link))
    let main = try contract.routes().filter { $0.table == 254 && $0.destination.family == .ipv4 }
    #expect(main == [Route(to: try Subnet("10.0.0.0/24"), link: link, preferredSource: address.address)])
    let local = try contract.routes().filter { $0.table == 255 && $0.destination.family == .ipv4 }
    #expect(Set(local.map(\.destination.description)) == ["10.0.0.1/32", "10.0.0.255/32"])
    try contract.route.execute(AddressRequests.remove(address, from: link))
    #expect(try contract.routes().filter { $0.destination.family == .ipv4 }.isEmpty)
  }

  @Test(arguments: KernelUnderTest.available) func routes(_ kernel: KernelUnderTest) throws {
    let (contract, link) = try make(kernel)
    try contract.route.execute(AddressRequests.add(InterfaceAddress("10.0.0.1/24"), to: link))
    try contract.route.execute(AddressRequests.add(InterfaceAddress("fd00::1/64"), to: link))
    let route = Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("10.0.0.254"), link: link)
    let six = Route(to: try Subnet("fd01::/64"), via: try IPAddress("fd00::fe"), link: link, metric: 7)
    let hole = Route(to: try Subnet("10.8.0.0/16"), table: 1000, kind: .blackhole)
    for route in [route, six, hole] {
      try contract.route.execute(RouteRequests.add(route))
      #expect(try contract.routes().contains(route))
      #expect(contract.refusal(RouteRequests.add(route))?.kernel?.errno == .fileExists)
    }
    for route in [route, six, hole] {
      try contract.route.execute(RouteRequests.delete(route))
      #expect(contract.refusal(RouteRequests.delete(route))?.kernel?.errno == Errno(rawValue: 3))
    }
    let strange = contract.refusal(
      RouteRequests.add(Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("192.0.2.1"))))
    #expect(strange?.kernel?.errno == Errno(rawValue: 101))
    #expect(strange?.kernel?.message == "Nexthop has invalid gateway")
  }

  @Test(arguments: KernelUnderTest.available) func downTakesRoutesWithIt(_ kernel: KernelUnderTest) throws {
    let (contract, link) = try make(kernel)
    try contract.route.execute(AddressRequests.add(InterfaceAddress("10.0.0.1/24"), to: link))
    try contract.route.execute(AddressRequests.add(InterfaceAddress("fd00::1/64"), to: link))
    let route = Route(to: try Subnet("10.9.0.0/16"), via: try IPAddress("10.0.0.254"))
    try contract.route.execute(RouteRequests.add(route))
    try contract.route.execute(LinkRequests.change(link, LinkChange(isUp: false)))
    #expect(try contract.routes().filter { $0.destination.family == .ipv4 }.allSatisfy { $0.table == 255 })
    #expect(try contract.addresses() == ["10.0.0.1/24"])
    #expect(contract.refusal(RouteRequests.add(route)) != nil)
  }
}
