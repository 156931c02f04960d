import ContainerNetworking
import Foundation
import Glibc
import Playground
import TestSupport
import Testing

/// `attach`, `detach`, `ps`, `events` and `doctor`.
@Suite(.timeLimit(.minutes(10))) struct ContainerTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  @Test func namespacesOfOthersAreAttachedByPathAndByProcess() throws {
    let theirs = try NetworkNamespace.create()
    #expect(try tool.cnet("attach", "--name", "web", "-p8080:80", "\(theirs.path)").output == "web\n")
    let eth0 = try theirs.addresses.list().map(\.address.description)
    #expect(eth0.contains("172.17.0.2/16"))

    let other = try NetworkNamespace.create()
    var command = Command("sleep", ["60"])
    command.endsWithParent = true
    let process = try other.spawn(command)
    defer { _ = try? process.wait() }
    defer { try? process.signal(SIGKILL) }
    let object = try tool.cnet("attach", "--pid", "\(process.id)", "--json")
    let row = try #require(try JSONSerialization.jsonObject(with: Data(object.output.utf8)) as? [String: Any])
    #expect(row["Addresses"] as? [String] == ["172.17.0.3/16"])
    #expect((row["Files"] as? String)?.contains(#/\/files\/[0-9a-f]{64}$/#) == true)
    #expect((row["Hostname"] as? String)?.wholeMatch(of: #/[0-9a-f]{12}/#) != nil)
    #expect(row["Interfaces"] as? [String] == ["eth0"])
    #expect(row["MacAddresses"] as? [String] == ["02:42:ac:11:00:03"])
    #expect(row["Mode"] as? String == "bridge" && row["Name"] as? String == "pid-\(process.id)")
    #expect(row["Namespace"] as? String == "/proc/\(process.id)/ns/net")
    #expect(row["Networks"] as? [String] == ["bridge"] && row["Ports"] as? [String] == [])
    let listed = try tool.cnet("ps", "--json", "--filter", "name=pid-").output
    let same = try #require(try JSONSerialization.jsonObject(with: Data(listed.utf8)) as? [String: Any])
    #expect(same["ID"] as? String == row["ID"] as? String && same["Files"] as? String == row["Files"] as? String)
    #expect(try tool.cnet("ps", "-q").output == "pid-\(process.id)\nweb\n")
    let table = try tool.cnet("ps").output.split(separator: "\n").map { $0.replacing(#/ +/#, with: " ") }
    #expect(table[0] == "NAME MODE ADDRESSES PORTS NAMESPACE")
    #expect(table[2] == "web bridge 172.17.0.2/16 0.0.0.0:8080->80/tcp \(theirs.path)")

    let detached = try tool.cnet("detach", "web", "nobody", "pid-\(process.id)")
    #expect(detached.code == 1)
    #expect(detached.output == "web\npid-\(process.id)\n")
    #expect(detached.error.contains("\"nobody\" is not attached"))
    let links = try theirs.links.list().map(\.name)
    #expect(links == ["lo"])
    #expect(try tool.close() == [])
  }

  @Test func eventsAreFollowed() throws {
    let follower = try tool.start("cnet", ["events", "--follow", "--json"])
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    #expect(waitUntil { follower.text("output").contains("\"Action\":\"create\"") })
    #expect(try tool.cnet("network", "rm", "one").code == 0)
    #expect(waitUntil { follower.text("output").contains("\"Action\":\"destroy\"") })
    try follower.process.signal(SIGINT)
    #expect(try follower.end().code == -SIGINT)
    let late = try tool.cnet("events", "--since", "1").output.split(separator: "\n")
    #expect(late.count == 1)
    #expect(late.first?.hasPrefix("2 ") == true && late.first?.contains("network destroy") == true)
    #expect(try tool.close() == [])
  }

  @Test func doctorFindsAndRepairs() throws {
    let theirs = try NetworkNamespace.create()
    #expect(try tool.cnet("attach", "--name", "web", "\(theirs.path)").code == 0)
    #expect(try tool.cnet("doctor") == Tool.Outcome(code: 0, output: "The record and the kernel agree.\n"))
    let bridge = try tool.world.host.links.get("cn0")
    try tool.world.host.links.delete(index: bridge.index)
    let found = try tool.cnet("doctor")
    #expect(found.code == 1)
    #expect(found.output.contains("to do (--fix): make the bridge again, and put its ports back"))
    let lines = try tool.cnet("doctor", "--json").output.split(separator: "\n")
    #expect(lines.contains { $0.contains("\"Kind\":\"bridgeMissing\"") && $0.contains("\"Fixed\":false") })
    let fixed = try tool.cnet("doctor", "--fix")
    #expect(fixed.code == 0)
    #expect(fixed.output.hasPrefix("fixed: "))
    #expect(try tool.world.pings(Playground.outsideAddress, from: theirs, within: 4))
    #expect(try tool.cnet("doctor").code == 0)
    #expect(try tool.close() == [])
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionScriptsAreThere(shell: String) throws {
    let script = try tool.cnet("--generate-completion-script", shell)
    #expect(script.code == 0)
    #expect(script.output.contains("host-namespace"))
  }

  @Test func version() throws {
    let outcome = try tool.cnet("--version")
    #expect(outcome.code == 0)
    #expect(outcome.output.wholeMatch(of: #/\d+\.\d+\.\d+\n/#) != nil)
  }
}
