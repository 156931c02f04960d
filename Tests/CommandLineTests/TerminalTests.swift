import Testing

/// On a pseudo-terminal: questions, colours and ^C.
@Suite(.timeLimit(.minutes(10))) struct TerminalTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  /// Waits for a text, types keys, and returns the terminal's output.
  private func onTerminal(
    waitFor text: String, type keys: String, _ command: [String], extra: [String] = []
  ) throws -> Tool.Outcome {
    let script = """
      import os, pty, sys
      pid, terminal = pty.fork()
      if pid == 0:
          os.execvp(sys.argv[3], sys.argv[3:])
      shown, typed = b"", False
      while True:
          if not typed and sys.argv[1].encode() in shown:
              if sys.argv[2] == "hang up":
                  os.close(terminal)
                  break
              os.write(terminal, sys.argv[2].encode())
              typed = True
          try:
              data = os.read(terminal, 4096)
          except OSError:
              break
          if not data:
              break
          shown += data
      status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
      sys.stdout.write(shown.decode().replace("\\r\\n", "\\n"))
      sys.stdout.flush()
      os._exit(status if status >= 0 else 128 - status)
      """
    return try tool.run("python3", ["-c", script, text, keys] + command, extra: extra)
  }

  @Test func pruneAsks() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let no = try onTerminal(waitFor: "[y/N]", type: "\n", ["cnet", "--color=never", "network", "prune"])
    #expect(no.code == 1)
    #expect(
      no.output == """
        WARNING! This will remove all custom networks not used by at least one container.
        Are you sure you want to continue? [y/N] 

        """)
    #expect(try tool.cnet("network", "ls", "-f", "type=custom", "--format", "{{.Name}}").output == "one\n")
    let yes = try onTerminal(waitFor: "[y/N]", type: "y\n", ["cnet", "network", "prune"])
    #expect(yes.code == 0)
    #expect(yes.output.hasSuffix("[y/N] y\nDeleted Networks:\none\n"))
    #expect(yes.output.hasPrefix("\u{1b}[1;33mWARNING!\u{1b}[0m"))
    #expect(try tool.close() == [])
  }

  @Test func coloursAreForTerminals() throws {
    let header = "\u{1b}[1mNETWORK ID"
    let colored = try onTerminal(waitFor: "never", type: "", ["cnet", "network", "ls"])
    #expect(colored.output.hasPrefix(header))
    let plain = try onTerminal(waitFor: "never", type: "", ["cnet", "network", "ls"], extra: ["NO_COLOR=1"])
    #expect(plain.output.hasPrefix("NETWORK ID"))
    let never = try onTerminal(waitFor: "never", type: "", ["cnet", "network", "ls", "--color", "never"])
    #expect(never.output.hasPrefix("NETWORK ID"))
    #expect(try tool.cnet("network", "ls").output.hasPrefix("NETWORK ID"))
    #expect(try tool.cnet("--color", "always", "network", "ls").output.hasPrefix(header))
    let wrong = try onTerminal(waitFor: "never", type: "", ["cnet", "network", "rm", "nosuch"])
    #expect(wrong.output.hasPrefix("\u{1b}[1;31mcnet:\u{1b}[0m find network"))
    // Failures keep to it too, however it is written.
    let dull = try onTerminal(
      waitFor: "never", type: "", ["cnet", "network", "rm", "nosuch", "--color", "never"])
    #expect(dull.output.hasPrefix("cnet: find network"))
    let bright = try tool.cnet("--color", "always", "network", "rm", "nosuch")
    #expect(bright.error.hasPrefix("\u{1b}[1;31mcnet:\u{1b}[0m find network"))
    let others = try tool.cnet("run", "--network", "nosuch", "--", "ls", "--color=always")
    #expect(others.error.hasPrefix("cnet: "))
    #expect(try tool.close() == [])
  }

  @Test func interruptEndsTheCommandOnceAndCleansUp() throws {
    let outcome = try onTerminal(
      waitFor: "ready", type: "\u{3}",
      ["cnet", "run", "--", "sh", "-c", "trap 'echo got' INT; echo ready; sleep 2; sleep 1; echo end; exit 7"])
    // Once: the terminal's own, and not the tool's too.
    #expect(outcome.output.split(separator: "\n").filter { $0.hasSuffix("got") }.count == 1)
    #expect(outcome.code == 7)
    let killed = try onTerminal(
      waitFor: "ready", type: "\u{3}", ["cnet", "run", "--", "sh", "-c", "echo ready; exec sleep 60"])
    #expect(killed.code == 130)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  @Test func aTerminalThatHangsUpEndsTheCommandAndCleansUp() throws {
    let outcome = try onTerminal(
      waitFor: "ready", type: "hang up", ["cnet", "run", "--", "sh", "-c", "echo ready; exec sleep 60"])
    #expect(outcome.code == 129)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }
}
