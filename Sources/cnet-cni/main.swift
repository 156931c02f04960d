import AdapterSupport
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

/// One call: its output on standard output, and the exit code.
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
    let input: [UInt8]
    do throws(NetworkError) { input = try ProgramInput.read(.standardInput, "standard input") } catch {
      throw CNIError(error.code == .invalidValue ? .undecodable : .inputOutput, error.description)
    }
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
