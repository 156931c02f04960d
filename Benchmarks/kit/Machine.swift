import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The machine and time of a run.
public struct Machine: Codable, Sendable, Hashable {
  /// Release of the kernel.
  public var kernel: String
  /// Model of the processor.
  public var processor: String
  /// The number of usable processors.
  public var cores: Int
  /// Main memory, GiB.
  public var memory: Int
  /// The distribution.
  public var system: String
  /// When the run began, ISO 8601.
  public var date: String
  /// The measured commit, with a plus for files changed since; empty outside of a checkout.
  public var commit: String
  /// Versions of the measured Debian packages, by name.
  public var packages: [String: String]

  /// This one.
  ///
  /// - Parameters:
  ///   - commit: The commit that is measured.
  ///   - packages: The Debian packages whose versions are of interest.
  public init(commit: String, packages: [String]) {
    kernel = Self.text("/proc/sys/kernel/osrelease").filter { !$0.isWhitespace }
    processor = Self.value("model name", in: Self.text("/proc/cpuinfo"))
    cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let kilobytes = Self.value("MemTotal", in: Self.text("/proc/meminfo")).prefix { $0.isNumber }
    memory = ((Int(kilobytes) ?? 0) + 1 << 19) >> 20
    system = Self.value("PRETTY_NAME", in: Self.text("/etc/os-release"), separator: "=").filter { $0 != "\"" }
    date = Date.now.formatted(.iso8601)
    self.commit = commit
    let status = Self.text("/var/lib/dpkg/status")
    self.packages = Dictionary(
      packages.compactMap { name in Self.version(of: name, in: status).map { (name, $0) } },
      uniquingKeysWith: { first, _ in first })
  }

  /// The version of a Debian package that is installed, without what Debian adds to it.
  public static func version(ofPackage name: String) -> String? { version(of: name, in: text("/var/lib/dpkg/status")) }

  private static func version(of name: String, in status: String) -> String? {
    let lines = status.utf8.split(separator: UInt8(ascii: "\n"))
    guard let first = lines.firstIndex(where: { $0.elementsEqual("Package: \(name)".utf8) }),
      let line = lines[first...].first(where: { $0.starts(with: "Version: ".utf8) })
    else { return nil }
    return String(
      decoding: line.dropFirst(9).prefix { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") }, as: UTF8.self)
  }

  private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  /// What follows a key at the start of a line.
  private static func value(_ key: String, in text: String, separator: Character = ":") -> String {
    for line in text.split(separator: "\n") where line.hasPrefix(key) {
      let parts = line.split(separator: separator, maxSplits: 1)
      if parts.count == 2 { return parts[1].drop { $0.isWhitespace }.description }
    }
    return ""
  }

  /// In words.
  public var description: String {
    let peers = packages.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return """
      \(cores) cores (\(processor)), \(memory) GiB, Linux \(kernel), \(system); commit \(commit), \(date); \(peers).
      """
  }
}
