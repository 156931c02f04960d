import ContainerNetworking
import Glibc
import Playground
import SystemPackage

// Managing networks at a prompt: cnet has docker's verbs, `cnet network` for `docker network`. Each line below is a
// process of its own; they share a record on disk. The container is a program that was started in a namespace by other
// means: cnet attaches that.

let world = try Playground()
let own = FilePath(CommandLine.arguments[0]).removingLastComponent()
let state = FilePath("/tmp/managing-networks-\(getpid())")

/// Runs a command of cnet on the playground's host, and prints it and its output.
func cnet(_ arguments: String...) throws {
  let common = ["--state-dir", state.string, "--host-namespace", world.host.path.string]
  print("$ cnet " + arguments.joined(separator: " "))
  let command = Command(own.appending("cnet").string, common + arguments)
  print(try world.run(command, in: world.host, includesErrors: true).output, terminator: "")
}

/// A container: a program in a namespace of its own.
let container = try NetworkNamespace.create()
var sleeper = Command("busybox", ["sleep", "600"])
sleeper.endsWithParent = true
let program = try container.spawn(sleeper)
defer { try? program.signal(SIGKILL) }

print("── networks: one with a subnet of our choice, one with both families, one without a way out")
try cnet("network", "create", "--subnet=192.168.50.0/24", "--ip-range=192.168.50.0/24", "br0")
try cnet("network", "create", "--ipv6", "--label", "tier=db", "blue")
try cnet("network", "create", "--internal", "br1")
try cnet("network", "ls", "--filter", "type=custom")

print("── a container on three of them, live; on one with an address of its choice, on one with the default route")
try cnet(
  "attach", "--name", "so1", "--net", "br0", "--ip", "192.168.50.101", "--publish", "8080:80", "--pid", "\(program.id)")
try cnet("network", "connect", "--gw-priority", "1", "blue", "so1")
try cnet("network", "connect", "br1", "so1")
try cnet("ps")
try cnet("network", "inspect", "--format", "{{.Name}} is internal: {{.Internal}}", "br0", "br1")

print("── and another finds it by name: a server is started for that")
try cnet("run", "--net", "br0", "--", "busybox", "ping", "-c", "1", "so1")

print("── somebody flushes the host's rules; the record knows what belongs there")
_ = try world.output("nft", "flush", "ruleset", in: world.host)
try cnet("doctor")
try cnet("doctor", "--fix")

print("── and all of it is taken away again")
try cnet("network", "rm", "br0")
try cnet("network", "disconnect", "br1", "so1")
try cnet("detach", "so1")
try cnet("network", "prune", "--force")
try cnet("network", "ls", "--quiet", "--filter", "type=custom")
_ = try world.output("rm", "-r", state.string, in: world.host)
let left = try world.host.links.list().map(\.name).joined(separator: " ")
print("links left on the host: \(left)")
exit(left == "lo eth0" ? 0 : 1)
