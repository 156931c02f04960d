import ContainerNetworking
import Foundation
import Playground
import Testing

/// A full disk, under each verb: the sentence names the file, the fault and the remedy. Once there is room again, the
/// record and the kernel agree.
@Suite struct DiskTests {
  enum Disk: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case full
    case readOnly

    var testDescription: String { rawValue }

    /// Makes the disk refuse writes, and accept them again.
    var scripts: (spoil: String, mend: String) {
      switch self {
      case .full:
        ("cat /dev/zero 2>/dev/null >>$D/fill; : 2>/dev/null >$D/none; true", "rm -f $D/fill $D/none")
      case .readOnly: ("mount -o remount,ro $D", "mount -o remount,rw $D")
      }
    }

    var sentence: String {
      switch self {
      case .full: "is full; make room there"
      case .readOnly: "mount it for writing"
      }
    }
  }

  private static let verbs = [
    "network create --subnet 10.66.0.0/24 green", "network ls", "network rm spare", "network prune -f",
    "network connect spare web", "network disconnect blue web", "attach --net blue --name new $NS", "ps", "detach web",
    "publish web 8081:81", "unpublish web 8080:80", "port web", "run --net blue -- true", "doctor", "doctor --fix",
    "events",
  ]

  /// Verbs that change nothing.
  private static let reads: Set<String> = ["network ls", "ps", "port web", "doctor", "events"]

  @Test(arguments: Disk.allCases) func everyVerbSaysWhatIsWrong(_ disk: Disk) throws {
    let tool = try Tool()
    let given = try NetworkNamespace.create()
    let other = try NetworkNamespace.create()
    try FileManager.default.createDirectory(atPath: tool.directory, withIntermediateDirectories: true)
    // In a mount namespace of its own, so that the machine sees nothing of that disk.
    let prepare = [
      "set -e", "D=\(tool.directory)", "NS=\(other.path)", "mount -t tmpfs -o size=4m none $D",
      "cnet network create --subnet 10.65.0.0/24 blue >/dev/null",
      "cnet network create --subnet 10.67.0.0/24 spare >/dev/null",
      "cnet attach --net blue --name web -p 8080:80 \(given.path) >/dev/null", "set +e", disk.scripts.spoil,
    ]
    // What a verb gave back, as a journal's pages, is taken again.
    let again = disk == .full ? "\(disk.scripts.spoil); " : ""
    let verbs = Self.verbs.map { "\(again)echo '$ \($0)'; cnet \($0) 2>&1; echo \"= $?\"" }
    let mend = [
      disk.scripts.mend, "echo '$ after'", "cnet doctor", "cnet ps -q", "cnet detach web", "cnet network prune -f",
    ]
    let outcome = try tool.run("unshare", ["-m", "sh", "-c", (prepare + verbs + mend).joined(separator: "\n")])
    let parts = outcome.output.components(separatedBy: "$ ").dropFirst()
    #expect(parts.count == Self.verbs.count + 1, "\(outcome)")
    for (verb, part) in zip(Self.verbs, parts) {
      // A read needs no room, unless the disk takes no writes at all: then the record cannot be shared.
      if disk == .full, Self.reads.contains(verb), part.hasSuffix("= 0\n") { continue }
      // The unfinished work of an earlier verb is reported, too.
      let isSaid = part.contains("\(tool.directory)") && part.contains(disk.sentence)
      #expect(isSaid || disk == .full && part.contains("was left"), "\(part)")
      #expect(part.hasSuffix("= 1\n") || part.hasSuffix("= 125\n"), "\(part)")
    }
    let last = try #require(parts.last)
    #expect(last.hasPrefix("after\nThe record and the kernel agree.\nweb\n"), "\(last)")
    #expect(try tool.close() == [])
  }
}
