import ContainerNetworking
import Playground
import Testing

/// Surprising behaviour of the kernel's links.
@Suite(.timeLimit(.minutes(5))) struct LinkFactTests {
  /// A forwarding entry of a VXLAN is deleted by its hardware address. A destination that it does not have is no error
  /// and changes nothing, so the caller must check afterwards.
  @Test func deletingAnAbsentDestinationOfAVXLANEntrySucceedsAndRemovesNothing() throws {
    let world = try Playground()
    // The entry for flooded frames, which may have several destinations.
    let mac = "00:00:00:00:00:00"
    func bridge(_ arguments: String...) throws -> Bool {
      try world.run(Command("bridge", ["fdb"] + arguments), in: world.host).status == .exited(0)
    }
    func destinations() throws -> [String] {
      let text = try #require(try world.output("bridge", "fdb", "show", "dev", "vxlan0", in: world.host))
      return text.split(separator: "\n").filter { $0.hasPrefix(mac) }.compactMap {
        $0.split(separator: " ").drop { $0 != "dst" }.dropFirst().first.map(String.init)
      }
    }
    let isMade = try world.output(
      "ip", "link", "add", "vxlan0", "type", "vxlan", "id", "7", "local", Playground.hostAddress, "dstport", "4789",
      in: world.host)
    try #require(isMade != nil, "this kernel has no VXLAN")
    #expect(try bridge("append", mac, "dev", "vxlan0", "dst", "203.0.113.2"))
    #expect(try bridge("append", mac, "dev", "vxlan0", "dst", "203.0.113.3"))
    #expect(try destinations() == ["203.0.113.2", "203.0.113.3"])

    #expect(try bridge("delete", mac, "dev", "vxlan0", "dst", "203.0.113.9"))
    #expect(try destinations() == ["203.0.113.2", "203.0.113.3"])
    // The address itself must be known.
    #expect(try !bridge("delete", "02:00:00:00:00:02", "dev", "vxlan0", "dst", "203.0.113.2"))

    #expect(try bridge("delete", mac, "dev", "vxlan0", "dst", "203.0.113.2"))
    #expect(try destinations() == ["203.0.113.3"])
  }

  /// A macvlan that is up makes its parent promiscuous, and shrinks with it; a VXLAN, and the far end of a veth, stay as
  /// large as they are.
  @Test func whatIsOnALinkThatShrinks() throws {
    let world = try Playground()
    func ip(_ line: String) throws -> String {
      try #require(try world.output("sh", "-c", "ip \(line)", in: world.host))
    }
    func mtu(_ link: String) throws -> Int { Int(try world.host.links.get(link).mtu) }
    _ = try ip("link add veth0 type veth peer name veth1")
    _ = try ip("link set veth0 up")
    _ = try ip("link add macvlan0 link veth0 type macvlan mode bridge")
    #expect(try ip("-d link show veth0").contains("promiscuity 0"))
    _ = try ip("link set macvlan0 up")
    #expect(try ip("-d link show veth0").contains("promiscuity 1"))
    _ = try ip("link add vxlan0 type vxlan id 7 dev veth0 dstport 4789")
    #expect(try mtu("vxlan0") == 1_450)

    _ = try ip("link set veth0 mtu 1300")
    #expect(try mtu("macvlan0") == 1_300)
    #expect(try mtu("vxlan0") == 1_450)
    #expect(try mtu("veth1") == 1_500)
  }
}
