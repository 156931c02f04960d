import Foundation
import Playground
import TestSupport
import Testing

/// The tables of Docker's options on the page about managing networks: each line is tried, and none of Docker's is left out.
@Suite(.timeLimit(.minutes(5))) struct OptionTableTests {
  /// A line of a table.
  private struct Line {
    var options: [String]
    var state: String
    var example: String
  }

  private let page: String
  private let docker: String

  init() throws {
    let beside = URL(filePath: #filePath).deletingLastPathComponent()
    page = try String(
      contentsOf: beside.appending(path: "../../Documentation/ManagingNetworks.md"), encoding: .utf8)
    docker = try String(contentsOf: beside.appending(path: "Golden/DockerOptions.txt"), encoding: .utf8)
  }

  /// The lines of the table of a verb.
  private func table(_ verb: String) throws -> [Line] {
    let start = try #require(page.firstRange(of: "### `docker \(verb)`\n"))
    let rest = page[start.upperBound...]
    let section = rest[..<(rest.firstRange(of: "\n#")?.lowerBound ?? rest.endIndex)]
    return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      let options = cells[0].split(separator: ", ").map { $0.trimmingCharacters(in: ["`"]) }
      return Line(options: options, state: cells[1], example: cells[2].trimmingCharacters(in: ["`"]))
    }
  }

  /// Docker's options by verb, as `docker VERB --help` has them.
  private func dockers(_ verb: String) throws -> Set<String> {
    let line = try #require(docker.split(separator: "\n").first { $0.hasPrefix("\(verb): ") })
    return Set(line.dropFirst(verb.count + 2).split(separator: " ").map(String.init))
  }

  private static let verbs = [
    "run", "exec", "ps", "inspect", "stop", "rm", "network create", "network connect", "network disconnect",
    "network inspect", "network ls", "network prune", "network rm",
  ]

  @Test(arguments: verbs) func everyOptionOfDockersIsThere(verb: String) throws {
    let listed = Set(try table(verb).flatMap(\.options))
    #expect(try dockers(verb).subtracting(listed) == [])
  }

  @Test(arguments: verbs) func everyLineIsTrue(verb: String) throws {
    let tool = try Tool()
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    #expect(try tool.cnet("network", "create", "--subnet", "10.2.0.0/24", "--subnet", "fd00:6::/64", "six").code == 0)
    #expect(try tool.cnet("run", "-d", "--name", "web", "-l", "tier=db", "-p", "8081:80", "sleep", "600").code == 0)
    let files = (variables: "\(tool.directory)/env-file", id: "\(tool.directory)/id-file")
    try Data("A=1\n# nothing\nB=2\n".utf8).write(to: URL(filePath: files.variables))
    let lines = try table(verb)
    #expect(!lines.isEmpty)
    for (number, line) in lines.enumerated() {
      for option in line.options where line.state == "refused" {
        let refused = try tool.run("cnet", words(verb, [option, "1"], number))
        let name = option.hasPrefix("--") ? option : "--"
        #expect(refused.code != 0 && refused.error.contains("read option \(name)"), "\(option): \(refused)")
      }
      guard line.state != "refused" else { continue }
      #expect(
        ["works", "differs"].contains(line.state) && line.options.contains { line.example.contains($0) }, "\(line)")
      let example = line.example.replacing("ENV-FILE", with: files.variables).replacing("ID-FILE", with: files.id)
      if verb == "stop" || verb == "rm" {
        _ = try tool.cnet("run", "-d", "--name", "it\(number)", "sleep", "600")
      }
      if verb == "network disconnect" { #expect(try tool.cnet("network", "connect", "one", "web").code == 0) }
      if verb == "network rm" { #expect(try tool.cnet("network", "create", "net\(number)").code == 0) }
      let network = example.contains("--ip6") ? "six" : "one"
      let command = words(verb, [], number).map { verb == "network connect" && $0 == "one" ? network : $0 }
      let split = verbWords(verb).count
      let text = (command[..<split] + [example] + command[split...]).joined(separator: " ")
      let outcome = try tool.run("sh", ["-c", "cnet \(text)"])
      #expect(outcome.code == 0, "cnet \(text): \(outcome)")
      if verb == "network create" { #expect(try tool.cnet("network", "rm", "net\(number)").code == 0) }
      if verb == "network connect" { #expect(try tool.cnet("network", "disconnect", network, "web").code == 0) }
      // A detached container is removed by itself, with everything it had.
      if verb == "run" { #expect(try eventually { try tool.cnet("ps", "-q").output == "web\n" }) }
    }
    try? FileManager.default.removeItem(atPath: files.id)
    #expect(try tool.cnet("stop", "-t", "0", "web").code == 0)
    #expect(try tool.close() == [])
  }

  private func verbWords(_ verb: String) -> [String] { verb.split(separator: " ").map(String.init) }

  /// A command line with these options.
  private func words(_ verb: String, _ options: [String], _ number: Int) -> [String] {
    let rest =
      switch verb {
      case "run": ["true"]
      case "exec": ["web", "true"]
      case "ps", "network ls", "network prune": [String]()
      case "inspect": ["web"]
      case "stop", "rm": ["it\(number)"]
      case "network create", "network rm": ["net\(number)"]
      case "network inspect": ["one"]
      default: ["one", "web"]
      }
    return verbWords(verb) + options + rest
  }
}
