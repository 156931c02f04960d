import ContainerNetworking
import Foundation
import Playground
import TestSupport
import Testing

/// The page on traces shows a real trace's output and pictures.
@Suite(.timeLimit(.minutes(5))) struct TraceDocumentTests {
  @Test func pageIsWhatIsTraced() async throws {
    let world = try Playground()
    try world.setBridgeNetfilter(false)
    try world.host.routes.add(
      Route(
        to: .all(.ipv4), via: try IPAddress(Playground.outsideAddress), link: try world.host.links.get("eth0").index))
    let controller = try await NetworkController(host: world.host)
    let web = try await controller.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    try await controller.createNetwork(
      "br1",
      options: NetworkOptions(subnet: try Subnet("192.168.51.0/24"), isInternal: true, bridge: try InterfaceName("br1"))
    )
    try await controller.attach("db", to: .network("br1"))
    let servers = [
      try world.serve("hello", port: 80, in: world.outside), try world.serve("hello", port: 80, in: web.namespace),
    ]
    defer { for server in servers { server.stop() } }

    let out = try await controller.trace(
      TraceRequest(from: "web", to: "203.0.113.2:80/tcp", timeout: .seconds(20)))
    async let waiting = controller.trace(
      TraceRequest(from: "203.0.113.2", to: "web:80/tcp", timeout: .seconds(60)))
    let isUnderWay = try await eventually {
      try world.output("nft", "list", "tables", in: world.host)?.contains("bridge containernetworking-trace-") == true
    }
    #expect(isUnderWay)
    _ = try world.fetch("203.0.113.1", 8080, from: world.outside)
    let incoming = try await waiting
    let dropped = try await controller.trace(TraceRequest(from: "web", to: "db", timeout: .seconds(20)))
    let graph = try await controller.graph()
    try await controller.removeAll()

    try expectDocument(
      "Pictures/WayOut.svg",
      Self.stable(graph.svg(marking: out.path("The way out: web reaches port 80 of 203.0.113.2"))))
    try expectDocument(
      "Pictures/WayIn.svg",
      Self.stable(graph.svg(marking: incoming.path("The way in: 203.0.113.2 reaches web by port 8080 of the host"))))
    try expectDocument(
      "Trace.md",
      """
      # A packet's way

      `cnet trace FROM TO[:PORT][/PROTOCOL]` follows a packet that really goes: out of the container, through its veth and
      the bridge, every chain that decides on it, routing and address translation, out of the uplink, and back. `cnet graph`
      draws the host's networks; `cnet trace … --svg FILE` draws them with the way marked. By the API these are
      `controller.trace(TraceRequest(from: "web", to: "203.0.113.2:80/tcp"))` and `controller.graph()`. A test makes this
      page and its pictures, and compares them.

      ## The way out

      A container sends the packet itself, from a socket in its own namespace: the first of a TCP connection, an empty UDP
      datagram, or an echo request.

      ![A container's packet to the outside](Pictures/WayOut.svg)

      ```console
      $ cnet trace web 203.0.113.2:80/tcp
      \(Self.stable("\(out)"))
      ```

      ## The way in

      A packet from outside is waited for: the first one of that flow that comes. A packet for `web:80` may have the
      container's own address as its destination, or a published port of the host.

      ![A packet from outside to a published port](Pictures/WayIn.svg)

      ```console
      $ cnet trace 203.0.113.2 web:80/tcp
      \(Self.stable("\(incoming)"))
      ```

      ## A packet that is dropped

      The trace ends with the rule that dropped it, and with why that rule is there.

      ```console
      $ cnet trace web db
      \(Self.stable("\(dropped)"))
      ```

      ## How it is known

      The report comes from the kernel, not from a model of it:

      - rules: nftables' own trace (`NFT_MSG_TRACE`). During a trace, two tables, `containernetworking-trace-…` of the
        families `inet` and `bridge`, select the packets of that flow alone, by addresses, protocol and ports, and their
        answers by the tracked connection. Their chains at every hook, the first and the last there, see where the packet
        comes by and how it looks. The tables belong to a socket of the process (`NFT_TABLE_F_OWNER`, Linux 5.12): the kernel
        takes them away when the trace ends, after ^C, and after `kill -9`;
      - rules of others are shown with the table, chain and handle by which `nft -a list ruleset` shows them, and with their
        comment if they have one;
      - routes: the kernel is asked as it asks itself (`RTM_GETROUTE` with the incoming link and mark), which also tells
        `rp_filter`, martians and missing routes apart;
      - replies: the socket that sent the packet receives ICMP errors, with their senders;
      - the host as it is now, at the end: routes in a network's subnet, links that do not forward, an answer by another link
        than expected, and how to allow traffic beyond links that are [kept to our networks](Policies.md#forwarding);
      - neighbours: a packet that no host accepted is distinguished from one without an answer.

      Some things cannot be seen: the packet beyond the uplink or inside a container's namespace; ICMP errors on their way
      back, which the end of the report lists; packets of a macvlan, which skip the host's rules on the wire of its parent; a
      program's reason for silence. With br_netfilter, which runs the rules of packets amid those of frames, the order of the
      lines is the kernel's. Following a flow makes the kernel track its connections, if nothing had it do so before.

      The exit code of `cnet trace` is 1 when the packet was dropped or lost, or when none was seen in time; with `--json` the
      same is printed as an object.

      """)
  }

  /// Removes the parts that differ between runs: names of ports, handles, ports that the kernel chose.
  static func stable(_ text: String) -> String {
    var text = GraphTests.stable(text)
    text.replace(#/ rule \d+/#, with: " rule N")
    text.replace(#/\b(203\.0\.113\.[12]|172\.17\.0\.2):([2-6]\d{4})\b/#) { "\($0.output.1):40000" }
    text.replace(#/ id \d+/#, with: " id 1")
    return text
  }
}
