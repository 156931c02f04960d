package import ContainerNetworking
import FoundationEssentials
package import SystemPackage

/// The attachments of one engine adapter, as empty files in a directory beside the record. An adapter removes its own
/// attachments alone.
///
/// A file is there before its endpoint is, and goes after it: one without an endpoint says nothing.
package struct Attachments: Sendable {
  private let directory: FilePath

  /// - Parameters:
  ///   - stateDirectory: Where the record is.
  ///   - door: The door's name.
  package init(in stateDirectory: FilePath, of door: String) { directory = stateDirectory.appending(door) }

  private func place(_ parts: [String]) -> FilePath { parts.reduce(directory) { $0.appending($1) } }

  /// - Parameter parts: Its place, as `NETWORK`, `CONTAINER`, `INTERFACE`.
  /// - Returns: Whether it was not there yet.
  /// - Throws: `.damagedRecord` when it cannot be written.
  package func add(_ parts: String...) throws(NetworkError) -> Bool {
    let place = place(parts)
    guard !FileManager.default.fileExists(atPath: place.string) else { return false }
    do {
      try FileManager.default.createDirectory(
        atPath: place.removingLastComponent().string, withIntermediateDirectories: true)
      try Data().write(to: URL(filePath: place.string))
      return true
    } catch { throw Self.failed("written", place, error) }
  }

  /// Whether it is there.
  package func has(_ parts: String...) -> Bool { FileManager.default.fileExists(atPath: place(parts).string) }

  /// Takes it away, and the directories above it that are empty then.
  package func remove(_ parts: String...) {
    // Best effort: a file without an endpoint means nothing, and the next removal deletes it.
    try? FileManager.default.removeItem(atPath: place(parts).string)
    for count in (1..<parts.count).reversed() {
      let above = place(Array(parts.prefix(count))).string
      guard (try? FileManager.default.contentsOfDirectory(atPath: above))?.isEmpty == true else { return }
      try? FileManager.default.removeItem(atPath: above)
    }
  }

  /// Containers and interfaces on a network.
  package func list(on network: String) throws(NetworkError) -> [(container: String, interface: String)] {
    let place = place([network])
    guard FileManager.default.fileExists(atPath: place.string) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: place.string).sorted().flatMap { container in
        try FileManager.default.contentsOfDirectory(atPath: place.appending(container).string).sorted().map {
          (container, $0)
        }
      }
    } catch { throw Self.failed("read", place, error) }
  }

  private static func failed(_ what: String, _ place: FilePath, _ error: any Error) -> NetworkError {
    NetworkError(
      .damagedRecord, operation: "record the attachments",
      reason: "\(place) cannot be \(what); it is part of the record (\(error))")
  }
}
