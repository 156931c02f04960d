import Glibc
import Netlink
import SystemPackage

// A parent for SpawnTests to kill, or to look at from outside.
//
//     spawn-helper parent tied|free   starts a sleeper, prints its pid, and waits to be killed
//     spawn-helper missing            starts programs that do not exist, and looks for what is left of them
//     spawn-helper swapped            starts a program with standard output and standard error exchanged

let kernel = LinuxKernel()
let namespace = try kernel.makeNamespace()
switch CommandLine.arguments.dropFirst().first {
case "parent":
  var command = Command("sleep", ["600"])
  command.endsWithParent = CommandLine.arguments.last == "tied"
  print(try kernel.spawn(command, in: namespace).id)
  fflush(nil)
  while true { pause() }
case "swapped":
  var command = Command("sh", ["-c", "echo to output; echo to error >&2"])
  command.output = .standardError
  command.error = .standardOutput
  guard try kernel.spawn(command, in: namespace).wait(timeout: .seconds(10)) == .exited(0) else { exit(1) }
case "missing":
  for name in ["/does/not/exist", "no-such-program"] {
    guard (try? kernel.spawn(Command(name), in: namespace)) == nil else { exit(1) }
  }
  print(waitpid(-1, nil, WNOHANG) < 0 && errno == ECHILD ? "no children" : "a child is left")
default: exit(2)
}
