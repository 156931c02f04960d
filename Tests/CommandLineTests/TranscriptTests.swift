import Testing

/// The complete output and exit codes of the verbs: files in Golden to read and to compare with.
@Suite(.timeLimit(.minutes(10))) struct TranscriptTests {
  @Test func help() throws {
    let tool = try Tool()
    let verbs = [
      "", "network", "network create", "network ls", "network inspect", "network connect", "network disconnect",
      "network rm", "network prune", "run", "attach", "detach", "ps", "publish", "unpublish", "port", "forward",
      "graph", "trace", "events", "doctor", "dns", "oci-hook", "container", "exec", "inspect", "stop", "rm",
    ]
    try expectGolden("Help.txt", tool.transcript(verbs.map { $0.isEmpty ? "cnet help" : "cnet \($0) --help" }))
  }

  @Test func networks() throws {
    let tool = try Tool()
    let text = try tool.transcript([
      "cnet network ls",
      "cnet network create --subnet=192.168.50.0/24 --ip-range=192.168.50.0/24 br0",
      "cnet network create --subnet=192.168.51.0/24 --internal br1",
      "cnet network create -d bridge --subnet 10.1.0.0/16 --gateway 10.1.0.9 --aux-address printer=10.1.0.7 "
        + "--label tier=db --label new -o com.docker.network.driver.mtu=1400 --opt icc=false net10",
      "cnet network create --ipv4=false --ipv6 --subnet fd00:6::/64 net9",
      "cnet network ls",
      "cnet network ls -q --no-trunc -f name=br",
      "cnet network ls -f type=custom -f label=tier --format '{{.Name}}: {{.Labels}} {{.Internal}}'",
      "cnet network ls --filter driver=host --filter driver=null --format 'table {{.Name}}\\t{{.ID}}\\t{{.Driver}}'",
      "cnet network ls --json -f type=custom",
      "cnet network inspect net10 host",
      "cnet network inspect -f '{{.Name}}{{range .IPAM.Config}} {{.Subnet}} {{.Gateway}}{{end}} {{json .Labels}}' br0 net9",
      "cnet network rm net9 nosuch net10",
      "cnet network rm -f nosuch br1",
      "cnet network prune -f",
      "cnet network ls --format '{{.Name}}'",
      "cnet events | cut -d' ' -f1,3-",
      "cnet doctor",
    ])
    try expectGolden("Networks.txt", text)
    #expect(try tool.close() == [])
  }

  @Test func errors() throws {
    let tool = try Tool()
    let text = try tool.transcript([
      "cnet nosuch",
      "cnet network create",
      "cnet network create --subnet=10.10.10.0/8 --gateway 1.2.3 --aux-address q --label =x -o mtu=x -o foo=1 x",
      "cnet network create --subnet 10.1.0.0/16 --ip-range 10.2.0.0/24 --gateway 10.3.0.1 -o mtu=9 x",
      "cnet network create -d vxlan x",
      "cnet network create bridge",
      "cnet network create a/b",
      "cnet network create --subnet 10.1.0.0/16 one && cnet network create --subnet 10.1.2.0/24 two",
      "cnet network create one",
      "cnet network rm bridge",
      "cnet network inspect nosuch -f '{{.Name}}'",
      "cnet network inspect one -f '{{.Nosuch}}'",
      "cnet network ls -f color=red",
      "cnet network ls --format '{{.Name'",
      "cnet network connect one nobody",
      "cnet network disconnect one nobody",
      "cnet network prune < /dev/null",
      "cnet detach nobody",
      "cnet attach",
      "cnet attach nosuch-namespace",
      "cnet attach /dev/null",
      "cnet run",
      "cnet run --bogus true",
      "cnet run --net nosuch true",
      "cnet run --net container: true",
      "cnet run --net container:nobody true",
      "cnet run --net host --net one true",
      "cnet run --ip 172.17.0.9 true",
      "cnet run --net one --ip fe80::1 --mac-address zz true",
      "cnet run --net one --ip 10.9.0.1 true",
      "cnet run --net one --ip 10.1.0.4 --ip 10.1.0.5 true",
      "cnet run --net one --mac 02:00:00:00:00:01 --mac-address 02:00:00:00:00:02 --interface a0 --interface a1 --gw-priority 1 "
        + "--gw-priority 2 true",
      "cnet run -p 80x true",
      "cnet run -p 8080:80:90 true",
      "cnet run --net one,two true",
      "cnet run --name $(printf %0300d 1) true",
      "cnet run -h",
      "cnet run -itv /srv:/srv busybox",
      "cnet run --rm=maybe true",
      "cnet run -e =x true",
      "cnet run -l =x true",
      "cnet run -w /nonexistent true",
      "cnet run --sysctl kernel.pid_max=5 true",
      "cnet run --net host --sysctl net.ipv4.ip_forward=1 true",
      "cnet run --env-file /nonexistent true",
      "cnet run alpine:3.20 sh",
      "cnet pull busybox",
      "cnet container start web",
      "cnet exec nobody true",
      "cnet stop nobody",
      "cnet rm nobody",
      "cnet rm -f nobody",
      "cnet inspect nobody",
      "cnet inspect -f '{{index .Name' one",
      "cnet inspect -f '{{html .Name}}' one",
      "cnet inspect -f '{{range .Labels}}' one",
      "cnet inspect -f '{{index .IPAM.Config 7}}' one",
      "cnet ps -f color=red",
      "cnet ps -f ancestor=busybox",
      "cnet ps -f status=paused",
      "cnet network connect none nobody",
      "cnet network inspect bridge -f '{{.Name}}'",
      "cnet network create --scope swarm x",
      "cnet network create --ipam-driver dhcp x",
      "cnet network create --config-only x",
      "cnet network create -d ipvlan x",
      "cnet network connect --driver-opt speed=10 one nobody",
      "cnet network connect --link nobody one nobody",
      "cnet publish nobody 80",
      "cnet publish nobody",
      "cnet unpublish nobody",
      "cnet unpublish --all nobody 80",
      "cnet port nobody",
      "cnet port nobody 8080:80",
      "cnet forward --connections 0",
      "cnet run --net host -p 80 true",
      "cnet run --hostname a_b --dns 300.1.1.1 --add-host db true",
      "cnet run --hostname a_b --dns-search a..b --dns-option 'x y' true",
      "cnet run --add-host host:host-gateway --net none true",
      "cnet network create --dns here --opt names=host x",
      "cnet run nosuch-program",
      "cnet run /dev/null",
      "cnet --host-namespace /dev/null ps",
      "cnet --host-namespace /proc/self/ns/net ps",
      "cnet --state-dir /dev/null/state ps",
      "cnet --color=often ps",
      "cnet graph --format png",
      "cnet graph --output /nonexistent/graph.svg",
      "cnet trace nobody",
      "cnet trace nobody host",
      "cnet trace host web:80x",
      "cnet trace --timeout 0 host host",
      "cnet trace host nobody:80",
    ])
    try expectGolden("Errors.txt", text)
    #expect(try tool.close() == [])
  }
}
