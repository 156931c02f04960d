import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport
import Testing

/// `run` in each mode with packets, its exit codes and signals.
@Suite(.timeLimit(.minutes(10))) struct RunTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  @Test func bridgeModeReachesOutside() throws {
    let outcome = try tool.cnet(
      "run", "--rm", "--", "sh", "-c",
      "ip -o -4 address show eth0 | grep -o 172.17.0.2/16 && busybox ping -c 1 -W 4 \(Playground.outsideAddress) >/dev/null"
    )
    #expect(outcome == Tool.Outcome(code: 0, output: "172.17.0.2/16\n"))
    #expect(try tool.close() == [])
  }

  @Test func hostModeIsTheHost() throws {
    let outcome = try tool.cnet("run", "--net=host", "--", "readlink", "/proc/self/ns/net")
    #expect(outcome == Tool.Outcome(code: 0, output: "\(tool.world.host.identity)\n"))
    #expect(try tool.close() == [])
  }

  @Test func noneModeHasOnlyLoopback() throws {
    let outcome = try tool.cnet("run", "--network", "none", "ls", "/sys/class/net/../../../proc/self/net/dev_snmp6")
    #expect(outcome == Tool.Outcome(code: 0, output: "lo\n"))
    #expect(try tool.close() == [])
  }

  @Test func containerModeSharesTheNamespace() throws {
    let donor = try tool.start("cnet", ["run", "--name", "donor", "--", "sleep", "60"])
    #expect(try waitUntil { try tool.cnet("events").output.contains("container=donor") })
    let path = "\(tool.directory)/netns/donor"
    let identity = try NetworkNamespace.open(at: FilePath(path)).identity
    let outcome = try tool.cnet("run", "--net", "container:donor", "--", "readlink", "/proc/self/ns/net")
    #expect(outcome == Tool.Outcome(code: 0, output: "\(identity)\n"))
    try donor.process.signal(SIGTERM)
    #expect(try donor.end().code == 128 + SIGTERM)
    #expect(try tool.close() == [])
  }

  @Test func customNetworksByDockersOwnLines() throws {
    #expect(
      try tool.cnet("network", "create", "--subnet=192.168.50.0/24", "--ip-range=192.168.50.0/24", "br0").code == 0)
    #expect(try tool.cnet("network", "create", "--subnet=192.168.51.0/24", "--internal", "br1").code == 0)
    let inner = try tool.cnet("run", "--net", "br1", "--", "sh", "-c", "ip route | grep -c default")
    #expect(inner.output == "0\n")

    let web = try tool.start("cnet", ["run", "--name", "web", "--", "sleep", "60"])
    #expect(try waitUntil { try tool.cnet("events").output.contains("container=web") })
    #expect(try tool.cnet("network", "connect", "--ip", "192.168.50.101", "br0", "web").code == 0)
    let namespace = try NetworkNamespace.open(at: FilePath("\(tool.directory)/netns/web"))
    let addresses = try namespace.addresses.list().map(\.address.description)
    #expect(addresses.contains("192.168.50.101/24"))
    let ping = try tool.cnet("run", "--net", "br0", "--", "busybox", "ping", "-c", "1", "-W", "4", "192.168.50.101")
    #expect(ping.code == 0)
    let refused = try tool.cnet("network", "rm", "br0")
    #expect(refused.code == 1 && refused.error.contains("web"))
    #expect(try tool.cnet("network", "disconnect", "br0", "web").code == 0)
    #expect(try tool.cnet("network", "rm", "br0").output == "br0\n")
    try web.process.signal(SIGTERM)
    _ = try web.end()
    #expect(try tool.close() == [])
  }

  @Test func severalNetworksWithTheirOptions() throws {
    for (name, subnet) in [("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")] {
      #expect(try tool.cnet("network", "create", "--subnet", subnet, name).code == 0)
    }
    let outcome = try tool.cnet(
      "run", "--net", "one", "--ip", "10.1.0.9", "--mac-address", "02:00:00:00:00:09", "--net",
      "name=two,ip=10.2.0.7,interface=lan7,gw-priority=5", "--", "sh", "-c",
      "ip -o -4 address | grep -o ': [el][a-z0-9]* .*/24'; ip route | grep -o 'default via .* dev [a-z0-9]*'; cat /proc/self/net/dev | grep -c eth0; "
        + "ip link show eth0 | grep -o 02:00:00:00:00:09")
    #expect(
      outcome.output.replacing(#/ +/#, with: " ") == ": eth0 inet 10.1.0.9/24\n: lan7 inet 10.2.0.7/24\n"
        + "default via 10.2.0.1 dev lan7\n1\n02:00:00:00:00:09\n")
    #expect(outcome.code == 0)

    let failed = try tool.cnet("run", "--net", "one", "--net", "nosuch", "--", "true")
    #expect(failed.code == 125)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  @Test func theCommandHasFilesAndAHostNameOfItsOwn() throws {
    let before = try tool.run("cat", ["/etc/resolv.conf", "/etc/hosts", "/proc/sys/kernel/hostname"])
    let outcome = try tool.cnet(
      "run", "--name", "web", "--hostname", "front", "--domainname", "example.org", "--dns", "192.0.2.53",
      "--dns-search", "example.org", "--dns-option", "rotate", "--add-host", "db:10.9.9.9", "--add-host",
      "host:host-gateway", "--", "sh", "-c",
      "grep -v '^#' /etc/resolv.conf; tail -n 3 /etc/hosts; hostname; dnsdomainname; getent hosts db")
    #expect(
      outcome.output.replacing(#/ +/#, with: " ") == """
        nameserver 192.0.2.53
        search example.org
        options rotate
        10.9.9.9\tdb
        172.17.0.1\thost
        172.17.0.2\tfront.example.org front web
        front
        example.org
        10.9.9.9 db

        """)
    #expect(outcome.error == "" && outcome.code == 0)
    let edited = try tool.cnet(
      "run", "--dns", "192.0.2.1", "--", "sh", "-c", "echo '# mine' >> /etc/hosts; tail -n 1 /etc/hosts")
    #expect(edited.output == "# mine\n")
    #expect(try tool.run("cat", ["/etc/resolv.conf", "/etc/hosts", "/proc/sys/kernel/hostname"]) == before)
    #expect(try tool.close() == [])
  }

  @Test func theFilesFollowTheNetworksOfACommandThatRuns() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "--opt", "names=off", "one").code == 0)
    let web = try tool.start(
      "cnet",
      [
        "run", "--name", "web", "--dns", "192.0.2.1", "--", "sh", "-c",
        "until grep ^10.1.0 /etc/hosts; do sleep 0.1; done",
      ])
    #expect(try waitUntil { try tool.cnet("events").output.contains("container=web") })
    #expect(try tool.cnet("network", "connect", "--ip", "10.1.0.9", "one", "web").code == 0)
    let end = try web.end()
    #expect(end.code == 0 && end.output.hasPrefix("10.1.0.9\t"))
    #expect(try tool.close() == [])
  }

  @Test func publishedPortIsReachedFromOutside() throws {
    let server = ["busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "hello"]
    let web = try tool.start("cnet", ["run", "--name", "web", "-p", "8080:80", "--"] + server)
    let world = tool.world
    #expect(try waitUntil { try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "hello" })
    let ports = try tool.cnet("ps", "--format", "{{.Name}} {{.Mode}} {{.Addresses}} {{.Ports}}")
    #expect(ports.output == "web bridge 172.17.0.2/16 0.0.0.0:8080->80/tcp\n")
    try web.process.signal(SIGTERM)
    #expect(try web.end().code == 128 + SIGTERM)
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == nil)
    #expect(try tool.close() == [])
  }

  @Test func streamsAndExitCodesAreTheCommands() throws {
    let outcome = try tool.cnet("run", "--net", "none", "sh", "-c", "cat; echo wrong >&2; exit 42", input: "given\n")
    #expect(outcome == Tool.Outcome(code: 42, output: "given\n", error: "wrong\n"))
    #expect(try tool.cnet("run", "--net", "none", "sh", "-c", "kill -9 $$").code == 128 + SIGKILL)
    #expect(try tool.close() == [])
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func signalsAreSentOn(signal: Int32) throws {
    let running = try tool.start(
      "cnet",
      [
        "run", "--", "sh", "-c",
        "trap 'echo got; kill $!; exit 9' INT TERM HUP QUIT; sleep 60 & echo ready; wait",
      ])
    #expect(waitUntil { running.text("output") == "ready\n" })
    try running.process.signal(signal)
    #expect(try running.end() == Tool.Outcome(code: 9, output: "ready\ngot\n"))
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  @Test func aSignalBeforeTheCommandStartsLeavesNothing() throws {
    for delay in [0, 2_000, 8_000, 20_000, 40_000] as [UInt32] {
      let running = try tool.start("cnet", ["run", "--", "sleep", "60"])
      // The tool has executed once env(1) is gone; before that a signal has its default action, and nothing was made.
      usleep(delay)
      try running.process.signal(SIGTERM)
      let code = try running.end().code
      #expect(code == 128 + SIGTERM || code == -SIGTERM)
    }
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }
}
