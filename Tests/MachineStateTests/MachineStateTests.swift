import Foundation
import Glibc
import Testing

/// `make test` compares the machine before and after with a script: here it sees what is changed in a namespace that
/// stands for the machine, and nothing where nothing is.
@Suite(.enabled(if: geteuid() == 0)) struct MachineStateTests {
  /// Whether the script takes the machine for changed when `change` happens between its two looks; and after `undo`.
  private func isSeen(_ change: String, undo: String) throws -> [Int32] {
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.ci/machine-state")
      .standardizedFileURL.path()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      // Processes apart too: other tests have theirs.
      "unshare", "--net", "--pid", "--fork", "--mount-proc", "bash", "-c",
      """
      state=$(mktemp); trap 'rm -f "$state"' EXIT
      check() { \(script) compare "$state" 2>/dev/null; echo $?; }
      \(script) >"$state" && check && \(change) && check && \(undo) && check
      """,
    ]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.split(separator: "\n").compactMap { Int32($0) }
  }

  @Test(arguments: [
    ("ip link add d0 type bridge", "ip link del d0"),
    ("ip address add 10.1.1.1/24 dev lo", "ip address del 10.1.1.1/24 dev lo"),
    ("ip route add blackhole 10.2.0.0/16", "ip route del blackhole 10.2.0.0/16"),
    ("echo 1 >/proc/sys/net/ipv4/ip_forward", "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    ("nft add table inet t", "nft delete table inet t"),
    ("{ unshare --net sleep 60 & sleep 0.5; }", "{ kill -KILL $!; wait $! || true; }"),
  ])
  func changeIsSeen(_ change: String, _ undo: String) throws {
    #expect(try isSeen(change, undo: undo) == [0, 1, 0])
  }
}
