import Foundation
import Glibc
import Testing

/// `make test` compares the machine before and after with a script. Here it finds changes in a namespace that stands
/// for the machine, and none without a change.
@Suite(.enabled(if: geteuid() == 0), .timeLimit(.minutes(10))) struct MachineStateTests {
  private static let scripts = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.ci")
    .standardizedFileURL.path()

  /// Whether the script reports the machine as changed if `change` happens between its two checks; and after `undo`.
  ///
  /// - Parameter isAlone: Whether every change counts as ours.
  private func isSeen(_ change: String, undo: String, isAlone: Bool = false) throws -> [Int32] {
    let process = Process()
    process.executableURL = URL(filePath: "\(Self.scripts)/apart")
    process.arguments = [
      "bash", "-c",
      """
      export CONTAINER_NETWORKING_RUN=test-$RANDOM
      script=\(Self.scripts)/machine-state
      state=$(mktemp); trap 'rm -f "$state"' EXIT
      check() { "$script" compare \(isAlone ? "--all" : "") "$state" 2>/dev/null; echo $?; }
      "$script" >"$state" && check && \(change) && check && \(undo) && check
      """,
    ]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.split(separator: "\n").compactMap { Int32($0) }
  }

  /// Begins a program in a network namespace of its own, and waits until it is there.
  private static let stray = """
    { unshare --net sleep 600 & \
    while [ "$(readlink /proc/$!/exe)" != "$(realpath "$(type -P sleep)")" ]; do sleep 0.01; done; }
    """
  private static let strayEnds = "{ kill -KILL $!; wait $! || true; }"

  /// Objects with our names, changes that the library makes, and processes that descend from the run.
  @Test(arguments: [
    ("ip link add cn0 type bridge", "ip link del cn0"),
    ("ip link add br-0123456789ab type bridge", "ip link del br-0123456789ab"),
    ("ip link add veth01234567 type bridge", "ip link del veth01234567"),
    (
      "{ ip link add cn0 type bridge && ip address add 10.1.1.1/24 dev cn0; }", "ip link del cn0"
    ),
    ("ip netns add cn-web", "ip netns del cn-web"),
    ("echo 1 >/proc/sys/net/ipv4/ip_forward", "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    ("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding", "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding"),
    ("nft add table inet containernetworking", "nft delete table inet containernetworking"),
    ("nft add table inet containernetworking-trace-1", "nft delete table inet containernetworking-trace-1"),
    (stray, strayEnds),
  ])
  func whatIsOursIsSeen(_ change: String, _ undo: String) throws {
    #expect(try isSeen(change, undo: undo) == [0, 1, 0])
  }

  /// Changes by others are not ours, unless we are alone.
  @Test(
    arguments: [
      ("ip link add d0 type bridge", "ip link del d0"),
      ("ip address add 10.1.1.1/24 dev lo", "ip address del 10.1.1.1/24 dev lo"),
      ("ip route add blackhole 10.2.0.0/16", "ip route del blackhole 10.2.0.0/16"),
      ("echo 0 >/proc/sys/net/ipv4/tcp_sack", "echo 1 >/proc/sys/net/ipv4/tcp_sack"),
      ("ip netns add theirs", "ip netns del theirs"),
      ("nft add table inet t", "nft delete table inet t"),
    ], [false, true])
  func whatIsOthersIsNotOurs(_ row: (change: String, undo: String), isAlone: Bool) throws {
    #expect(try isSeen(row.change, undo: row.undo, isAlone: isAlone) == [0, isAlone ? 1 : 0, 0])
  }

  /// A process started by another program elsewhere.
  @Test func othersProcessesAreNotOurs() throws {
    let change = "pushd / >/dev/null && export -n CONTAINER_NETWORKING_RUN && \(Self.stray) && popd >/dev/null"
    let again = "export CONTAINER_NETWORKING_RUN"
    #expect(try isSeen("\(change) && \(again)", undo: Self.strayEnds) == [0, 0, 0])
  }
}
