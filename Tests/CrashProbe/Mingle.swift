import ContainerNetworking
import Glibc
import Mingling

/// Executes random verbs on one of several records of a host, and the commands on its standard input.
func mingle(_ controller: NetworkController, number: Int, seed: UInt64, verbs: Int) async throws {
  var mingler = Mingler(controller, number: number, seed: seed)
  func say(_ line: String) {
    print(line)
    fflush(nil)
  }
  while let word = readLine() {
    switch word {
    case "begin":
      try await mingler.begin()
      say("begun")
    case "run":
      try await mingler.run(verbs: verbs)
      say("ran")
    case "settle":
      let remainder = try await mingler.remainder()
      guard remainder.isEmpty else {
        throw NetworkError(.refused, operation: "settle record \(number)", reason: "\(remainder)")
      }
      for container in try await mingler.containers() { say(container) }
      say("settled")
    case "end":
      try await controller.removeAll(isFinal: true)
      say("gone")
    default: throw NetworkError(.invalidValue, operation: "mingle", reason: "the word \"\(word)\" is not known")
    }
  }
}
