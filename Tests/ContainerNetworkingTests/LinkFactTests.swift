import ContainerNetworking
import Playground
import Testing

/// What the kernel does with links where a good guess is wrong.
@Suite(.timeLimit(.minutes(5))) struct LinkFactTests {
  /// A forwarding entry of a VXLAN is deleted by its hardware address; a destination that it does not have is no fault,
  /// and leaves it as it is, so whoever deletes must look afterwards.
  @Test func deletingAnAbsentDestinationOfAVXLANEntrySucceedsAndRemovesNothing() throws {
    let world = try Playground()
    // The one for what is sent to all, which may have several.
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
}
