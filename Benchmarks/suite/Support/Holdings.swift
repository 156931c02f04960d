import ContainerNetworking
import FoundationEssentials
import Glibc

/// What processes hold.
struct Holdings {
  /// Bytes in memory now.
  var resident = 0.0
  /// Bytes in memory at their most.
  var peak = 0.0
  var descriptors = 0.0

  /// Of this process.
  static func ofThisProcess() -> Holdings { of(getpid()) }

  /// Of all processes that run in a host's namespace, but this one: what a contender has there for its containers.
  static func ofProcesses(in host: NetworkNamespace) -> Holdings {
    var sum = Holdings()
    for one in processes(in: host).map({ of($0) }) {
      sum.resident += one.resident
      sum.peak += one.peak
      sum.descriptors += one.descriptors
    }
    return sum
  }

  static func processes(in host: NetworkNamespace) -> [Int32] {
    let manager = FileManager.default
    return ((try? manager.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }.filter { id in
      id != getpid() && (try? manager.destinationOfSymbolicLink(atPath: "/proc/\(id)/ns/net")) == "\(host.identity)"
    }
  }

  private static func of(_ id: Int32) -> Holdings {
    let status = (try? String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)) ?? ""
    let bytes = { (key: String) in
      for line in status.split(separator: "\n") where line.hasPrefix(key) {
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) }.map { $0 * 1_024 }
          ?? 0
      }
      return 0
    }
    let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/fd"))?.count ?? 0
    return Holdings(resident: bytes("VmRSS:"), peak: bytes("VmHWM:"), descriptors: Double(descriptors))
  }
}
