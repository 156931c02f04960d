import AdapterSupport
import ArgumentParser
import ContainerNetworking
import Glibc

/// Container networks at the prompt.
struct Cnet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cnet",
    abstract: "Make container networks, put processes and namespaces on them, and inspect them.",
    discussion: """
      Every verb takes the global options, before it or after it:
        --state-dir DIR             the directory of the record: $CNET_STATE_DIR,
                                    or /var/lib/containernetworking
        --host-namespace PATH|NAME  the namespace of bridges and rules:
                                    $CNET_HOST_NAMESPACE, or this namespace
        --name-server auto|running|none
                                    who answers for names on custom networks:
                                    $CNET_NAME_SERVER, or auto: cnet dns, which
                                    is started where none runs
        --color auto|always|never   colours: on a terminal, unless $NO_COLOR

      Exit codes: 0 done; 1 failed, in whole or in part; 64 wrong usage.
      Exit codes of run and exec: the command's own; 128 and the number of the signal
      that ended it; 127 no such command; 126 not startable; 125 cnet itself failed.
      """,
    version: Product.version,
    subcommands: [
      NetworkCommands.self, ContainerCommands.self, Run.self, Exec.self, Inspect.self, Stop.self, RemoveContainers.self,
      Attach.self, Detach.self, ListContainers.self, Publish.self, Unpublish.self, ListPorts.self, Forward.self,
      ServeNames.self, OCIHook.self, Graph.self, Trace.self, Events.self, Doctor.self,
    ])
}

/// The process.
@main
enum Program {
  static func main() {
    let arguments: [String]
    do throws(NetworkError) { arguments = try Spelling.ours(Array(CommandLine.arguments.dropFirst())) } catch {
      Failure.end(error, verb: CommandLine.arguments.first { Foreground.verbs.contains($0) })
    }
    // Before a second thread exists: a signal goes to any thread that does not block it.
    if let verb = arguments.first, Foreground.verbs.contains(verb) { Signals.blockForwarded() }
    Task.detached { await run(arguments) }
    // Not dispatchMain(), nor an async main, which calls it: that turns this thread into one that blocks no signal.
    while true { pause() }
  }

  private static func run(_ arguments: [String]) async -> Never {
    do {
      var command = try Cnet.parseAsRoot(arguments)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      throw ExitCode.success
    } catch {
      Failure.end(error, verb: arguments.first)
    }
  }
}

/// `cnet container`: Docker's longer forms. `Spelling` replaces each by its short verb.
struct ContainerCommands: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "container",
    abstract: "Run, list, inspect, stop and remove containers: longer names of the verbs below.",
    subcommands: [
      Run.self, Exec.self, ListContainers.self, Inspect.self, ListPorts.self, Stop.self, RemoveContainers.self,
    ])
}

/// `cnet network`.
struct NetworkCommands: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network", abstract: "Make, list, inspect, join, leave and remove networks.",
    subcommands: [
      CreateNetwork.self, ListNetworks.self, InspectNetworks.self, ConnectContainer.self, DisconnectContainer.self,
      RemoveNetworks.self, PruneNetworks.self,
    ])
}
