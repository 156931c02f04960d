import AdapterSupport
import FoundationEssentials
import Glibc
import SystemPackage

/// One call: what is printed on standard output, and the exit code.
func answer(_ environment: [String: String]) async -> (output: JSON?, code: Int32) {
  var version = SpecVersion.newest
  do throws(CNIError) {
    let invocation = try Invocation(environment)
    guard invocation.verb != .version else {
      return (
        .compact([
          "cniVersion": .text(SpecVersion.newest.rawValue),
          "supportedVersions": .list(SpecVersion.allCases.map { .text($0.rawValue) }),
        ]), 0
      )
    }
    let input = try readInput()
    // A failure is told in the version that was asked in, if that can be read.
    version = spokenVersion(input) ?? version
    let configuration = try Configuration(input, verb: invocation.verb)
    let plugin = try await Plugin(invocation, configuration, environment)
    return (try await plugin.run(), 0)
  } catch { return (error.json(version), 1) }
}

func spokenVersion(_ input: [UInt8]) -> SpecVersion? {
  (try? JSONDecoder().decode(JSON.self, from: Data(input)))?["cniVersion"]?.text.flatMap { SpecVersion(rawValue: $0) }
}

/// A configuration is some hundred bytes, and a GC of ten thousand containers a megabyte.
func readInput() throws(CNIError) -> [UInt8] {
  let limit = 64 << 20
  var input: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while input.count <= limit {
    let count: Int
    do {
      count = try unsafe buffer.withUnsafeMutableBytes { try unsafe FileDescriptor.standardInput.read(into: $0) }
    } catch { throw CNIError(.inputOutput, "standard input cannot be read", details: "\(error)") }
    guard count > 0 else { return input }
    input += buffer[..<count]
  }
  throw CNIError(.undecodable, "standard input has more than \(limit) bytes")
}

let environment = ProcessInfo.processInfo.environment
guard environment["CNI_COMMAND"] != nil else {
  _ = try? FileDescriptor.standardError.writeAll(
    """
    cnet-cni: a CNI plugin on the record of cnet. A container runtime calls it, with CNI_COMMAND in the environment and
    a configuration on standard input; versions \(SpecVersion.allCases.map(\.rawValue).joined(separator: ", ")).
    It answers for these types, under their names or its own: \
    \(Configuration.Kind.allCases.map(\.rawValue).joined(separator: ", ")).

    """.utf8)
  exit(0)
}
let (output, code) = await answer(environment)
if let output { print((try? JSON.line(output)) ?? "{}") }
exit(code)
