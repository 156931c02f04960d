import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport
import Testing

/// Docker users' input: the lines of its networking tutorials, its options and its field names.
@Suite(.timeLimit(.minutes(5))) struct DockerLineTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  /// Ends detached containers, and expects that nothing is left.
  private func close(_ names: String...) throws {
    for name in names { #expect(try tool.cnet("container", "stop", "-t", "0", name).output == "\(name)\n") }
    #expect(try tool.cnet("ps", "-aq").output == "")
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(tool.directory)/run") == [])
    #expect(try tool.close() == [])
  }

  @Test func theTutorialsLinesDoWhatTheyDo() throws {
    let host = try tool.cnet("container", "run", "-it", "--net=host", "busybox", input: "readlink /proc/self/ns/net\n")
    #expect(host.code == 0 && host.output == "\(tool.world.host.identity)\n", "\(host)")
    #expect(host.error == "cnet: warning: the command has no terminal: standard input is not a terminal\n")
    #expect(try tool.cnet("network", "create", "--subnet", "10.8.0.0/24", "so").code == 0)
    for name in ["so1", "so2"] {
      let run = try tool.cnet("container", "run", "-itd", "--net=so", "--name", name, "busybox")
      #expect(run.code == 0 && run.output.wholeMatch(of: #/[0-9a-f]{64}\n/#) != nil, "\(run)")
      let id = String(run.output.prefix(12))
      #expect(try tool.cnet("inspect", "-f", "{{.Name}} {{.State.Status}}", id).output == "/\(name) running\n")
    }
    // The shell waits for input on a terminal of its own, of which it is the master.
    let process = try tool.cnet("inspect", "-f", "{{.State.Pid}}", "so1").output.dropLast()
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/0").hasPrefix("/dev/pts/"))
    let stat = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
    #expect(stat.split(separator: ")").last?.split(separator: " ")[4] != "0")
    let sh = try tool.cnet("container", "exec", "-it", "so2", "sh", input: "hostname; exit 3\n")
    #expect(sh.code == 3 && sh.output.wholeMatch(of: #/[0-9a-f]{12}\n/#) != nil, "\(sh)")
    let ping = try tool.cnet("exec", "so2", "busybox", "ping", "-c", "1", "-W", "4", "10.8.0.2")
    #expect(ping.code == 0, "\(ping)")
    try close("so1", "so2")
  }

  @Test func aDetachedCommandIsLookedAfter() throws {
    let lines = "echo out; echo wrong >&2; exec sleep 60"
    let run = try tool.cnet(
      "run", "-dp", "8080:80", "--name", "web", "-e", "TIER=db", "-l", "tier=db", "--expose", "81/udp", "-h", "front",
      "sh",
      "-c", lines)
    #expect(run.code == 0 && run.error == "", "\(run)")
    let log = try tool.cnet("inspect", "-f", "{{.LogPath}}", "web").output.dropLast()
    #expect(try eventually { try String(contentsOfFile: String(log), encoding: .utf8) == "out\nwrong\n" })
    #expect(try tool.cnet("exec", "web", "sh", "-c", "echo $TIER; hostname").output == "db\nfront\n")
    #expect(try tool.cnet("run", "-d", "--name", "web", "true").code == 125)
    let ps = try tool.cnet(
      "ps", "-f", "label=tier=db", "--format", "{{.Names}} {{.State}} {{.Labels}} {{.Label \"tier\"}} {{.Command}}")
    #expect(ps.output == "web running tier=db db \"sh -c echo out; ech…\"\n")
    for (filter, isMeant) in [
      ("label=other", false), ("publish=80", true), ("publish=81/udp", false), ("expose=81/udp", true),
      ("name=we", true),
      ("network=bridge", true), ("status=exited", false), ("id=\(run.output.prefix(5))", true),
    ] {
      #expect(try tool.cnet("ps", "-q", "--filter", filter).output == (isMeant ? "web\n" : ""), "\(filter)")
    }
    #expect(try tool.cnet("rm", "web").error.contains("its command runs; stop it first, or give --force"))
    #expect(try tool.cnet("rm", "-f", "web").output == "web\n")
    try close()
  }

  /// When the command ends, its container is removed, even with nobody watching.
  @Test func aDetachedContainerGoesWithItsCommand() throws {
    #expect(try tool.cnet("run", "-d", "--name", "short", "sleep", "1").code == 0)
    #expect(try eventually { try tool.cnet("ps", "-q").output == "" })
    #expect(try tool.cnet("run", "-d", "--name", "none", "no-such-program").code == 127)
    #expect(try tool.cnet("run", "-d", "--net", "nosuch", "true").code == 125)
    // After a kill of its cnet, the remains of a container can be removed.
    #expect(try tool.cnet("run", "-d", "--name", "orphan", "sleep", "60").code == 0)
    let file = try Data(contentsOf: URL(filePath: "\(tool.directory)/run/orphan.json"))
    let object = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
    let supervisor = try #require(object["supervisor"] as? Int32)
    kill(supervisor, SIGKILL)
    #expect(try eventually { try tool.cnet("ps", "--format", "{{.State}}").output == "dead\n" })
    #expect(try tool.cnet("rm", "orphan").output == "orphan\n")
    try close()
  }

  @Test func inspectHasDockersNetworkSettings() throws {
    #expect(
      try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "--ipv6", "--subnet", "fd00:1::/64", "one").code
        == 0)
    let id = try tool.cnet(
      "run", "-d", "--name", "web", "--net", "one", "--alias", "db", "--ip", "10.1.0.9", "-p", "127.0.0.1:8080:80",
      "--expose", "81", "-h", "front", "sleep", "60"
    ).output.dropLast()
    #expect(try tool.cnet("network", "connect", "bridge", "web").code == 0)
    let network = try tool.cnet("network", "inspect", "-f", "{{.Id}}", "one").output.dropLast()
    let settings = try tool.cnet("container", "inspect", "-f", "{{json .NetworkSettings.Networks.one}}", "web")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(settings.output.utf8)) as? [String: Any])
    #expect(object["IPAddress"] as? String == "10.1.0.9")
    #expect(object["IPPrefixLen"] as? Int == 24)
    #expect(object["Gateway"] as? String == "10.1.0.1")
    #expect(object["GlobalIPv6Address"] as? String == "fd00:1::2")
    #expect(object["GlobalIPv6PrefixLen"] as? Int == 64)
    #expect(object["IPv6Gateway"] as? String == "fd00:1::1")
    #expect(object["MacAddress"] as? String == "02:42:0a:01:00:09")
    #expect(object["NetworkID"] as? String == String(network))
    #expect((object["EndpointID"] as? String)?.count == 64)
    #expect(object["Aliases"] as? [String] == ["db"])
    #expect(object["DNSNames"] as? [String] == ["web", "db", String(id.prefix(12)), "front"])
    #expect((object["IPAMConfig"] as? [String: String]) == ["IPv4Address": "10.1.0.9"])
    for (template, shown) in [
      (
        "{{json .NetworkSettings.Ports}}",
        "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}],\"81/tcp\":null}"
      ),
      ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
      (
        "{{range $port, $places := .NetworkSettings.Ports}}{{$port}}{{with $places}}->{{(index . 0).HostPort}}{{else}}-{{end}} {{end}}",
        "80/tcp->8080 81/tcp- "
      ),
      ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "172.17.0.2 10.1.0.9 "),
      ("{{.NetworkSettings.IPAddress}} {{.HostConfig.NetworkMode}}", "172.17.0.2 one"),
      ("{{index .Config.Labels \"none\"}}{{len .Config.ExposedPorts}}", "2"),
      ("{{if eq .State.Status \"running\"}}up{{else}}down{{end}}", "up"),
      ("{{join .Config.Cmd \",\" | upper}} {{printf \"%5s|%-4d|\" .Name 7}}", "SLEEP,60  /web|7   |"),
      ("{{ .Id -}}  x", "\(id)x"), ("{{$root := .}}{{range .Args}}{{$root.Path}} {{.}}{{end}}", "sleep 60"),
      ("{{/* nothing */}}{{if and .State.Running (not .State.Dead)}}{{println \"a\" 1}}{{end}}", "a 1\n"),
      ("{{if .State.Dead}}a{{else if .State.Running}}b{{else}}c{{end}}", "b"),
    ] {
      let outcome = try tool.cnet("inspect", "-f", template, "web")
      #expect(outcome.output == shown + "\n", "\(template): \(outcome)")
    }
    // A network by the same verb, and a name that is neither.
    #expect(try tool.cnet("inspect", "-f", "{{.Name}}", "one").output == "one\n")
    #expect(try tool.cnet("inspect", "--type", "container", "one").code == 1)
    #expect(try tool.cnet("inspect", "nobody").error.contains("no container and no network has that name or id"))
    for mode in ["host", "none"] {
      #expect(try tool.cnet("run", "-d", "--name", mode + "1", "--net", mode, "sleep", "60").code == 0)
      let networks = try tool.cnet(
        "inspect", "-f", "{{range $n, $v := .NetworkSettings.Networks}}{{$n}}{{end}}", mode + "1")
      #expect(networks.output == mode + "\n")
    }
    try close("web", "host1", "none1")
  }

  @Test func exposedPortsArePublished() throws {
    #expect(
      try tool.cnet(
        "run", "-d", "--name", "web", "--expose", "80-81", "--expose", "53/udp", "-Pp", "8080:80", "sleep", "60"
      ).code == 0)
    let ports = try tool.cnet("port", "web").output.replacing(#/:(?:3|4|5|6)\d{4}/#, with: ":PICKED")
    #expect(ports == "53/udp -> 0.0.0.0:PICKED\n80/tcp -> 0.0.0.0:8080\n81/tcp -> 0.0.0.0:PICKED\n")
    try close("web")
  }

  /// The command sees the links of its own namespace, and other mounts on /sys.
  @Test func theCommandSeesItsOwnLinks() throws {
    let links = try tool.cnet("run", "ls", "/sys/class/net")
    #expect(links == Tool.Outcome(code: 0, output: "eth0\nlo\n"))
    let none = try tool.cnet("run", "--net", "none", "ls", "/sys/class/net", "/sys/devices/virtual/net")
    #expect(none.output.contains("eth0") == false, "\(none)")
    let groups = try tool.run("ls", ["/sys/fs/cgroup"])
    #expect(try tool.cnet("run", "ls", "/sys/fs/cgroup") == groups)
    try close()
  }

  /// `exec` is in the mount namespace that the command has, not in one like it.
  @Test func execSeesWhatTheCommandMounted() throws {
    let lines = "mount -t tmpfs tmpfs /mnt && echo seen > /mnt/file && exec sleep 60"
    #expect(try tool.cnet("run", "-d", "--name", "web", "sh", "-c", lines).code == 0)
    #expect(try eventually { try tool.cnet("exec", "web", "cat", "/mnt/file").output == "seen\n" })
    #expect(try tool.cnet("exec", "-w", "/mnt", "web", "pwd").output == "/mnt\n")
    #expect(try tool.cnet("exec", "web", "pwd").output == FileManager.default.currentDirectoryPath + "\n")
    #expect(try tool.cnet("exec", "web", "sh", "-c", "echo '# mine' >> /etc/hosts; kill -9 $$").code == 128 + SIGKILL)
    #expect(try tool.cnet("exec", "web", "tail", "-n", "1", "/etc/hosts").output == "# mine\n")
    #expect(try tool.cnet("exec", "web", "no-such-program").code == 127)
    #expect(try tool.cnet("exec", "nobody", "true").code == 125)
    // In a foreign namespace it has network and files.
    let theirs = try NetworkNamespace.create()
    #expect(try tool.cnet("attach", "--name", "other", "-h", "front", "\(theirs.path)").code == 0)
    let other = try tool.cnet("exec", "other", "sh", "-c", "hostname; readlink /proc/self/ns/net; cat /etc/hostname")
    #expect(other.output == "front\n\(theirs.identity)\nfront\n")
    #expect(try tool.cnet("stop", "other").output == "other\n")
    withExtendedLifetime(theirs) {}
    try close("web")
  }

  /// A container that leaves a network is told of its losses, and gets kept settings back.
  @Test func whatAContainerLosesIsSaidOrKept() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    #expect(
      try tool.cnet("run", "-d", "--name", "web", "--net", "one", "--alias", "db", "-p", "8080:80", "sleep", "60").code
        == 0)
    #expect(try tool.cnet("network", "connect", "--interface", "lan0", "bridge", "web").code == 0)
    let left = try tool.cnet("network", "disconnect", "--keep", "one", "web")
    #expect(left == Tool.Outcome(code: 0, output: ""))
    let mode = try tool.cnet("ps", "--format", "{{.Mode}} {{.Networks}} {{.Ports}}")
    #expect(mode.output == "bridge bridge -\n")
    // No other container gets its kept settings.
    let other = try tool.cnet("run", "--net", "one", "-p", "8080:81", "true")
    #expect(other.code == 125 && other.error.contains("8080"), "\(other)")
    #expect(
      try tool.cnet("run", "--net", "one", "ip", "-o", "-4", "address", "show", "eth0").output.contains("10.1.0.3/24"))
    #expect(try tool.cnet("network", "connect", "one", "web").code == 0)
    let back = try tool.cnet("ps", "--format", "{{.Addresses}} {{.Ports}}").output
    #expect(back.contains("10.1.0.2/24") && back.contains("0.0.0.0:8080->80/tcp"), "\(back)")
    #expect(
      try tool.cnet("inspect", "-f", "{{json .NetworkSettings.Networks.one.Aliases}}", "web").output == "[\"db\"]\n")
    #expect(try tool.cnet("doctor").code == 0)
    let lost = try tool.cnet("network", "disconnect", "one", "web")
    #expect(lost.code == 0)
    #expect(
      lost.error.contains("\"web\" is no longer published 0.0.0.0:8080->80/tcp, nor known as db on \"one\""), "\(lost)")
    #expect(try tool.cnet("network", "connect", "one", "web").code == 0)
    #expect(try tool.cnet("port", "web").output == "")
    #expect(try tool.cnet("doctor").code == 0)
    try close("web")
  }

  /// The shell is offered the names that are on record, and nothing is made for it.
  @Test func namesAreCompleted() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    #expect(try tool.cnet("run", "-d", "--name", "web", "sleep", "60").code == 0)
    let offered = { (line: String) throws -> [String] in
      // As bash(1) calls the function: with the command, the word and the one before.
      let words = line.split(separator: " ", omittingEmptySubsequences: false).map { "'\($0)'" }.joined(separator: " ")
      let script = """
        source <(cnet --generate-completion-script bash)
        COMP_WORDS=(\(words)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE='\(line)'; COMP_POINT=${#COMP_LINE}
        _cnet cnet "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      let outcome = try tool.run("bash", ["-c", script])
      return outcome.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    #expect(try offered("cnet exec w").contains("web"))
    #expect(try offered("cnet network rm o").contains("one"))
    #expect(try offered("cnet run --network o").contains("one"))
    #expect(try offered("cnet inspect ").contains("web"))
    try close("web")
  }
}
