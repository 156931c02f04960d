import ContainerNetworking
import FoundationEssentials
import SystemPackage

/// What this plugin has put on networks, as empty files `NETWORK/CONTAINER/INTERFACE`: GC takes away what a runtime has
/// forgotten, and must not take away what somebody else put on the same network.
///
/// A file is there before its endpoint is, and goes after it: one without an endpoint says nothing.
struct Attachments {
  let directory: FilePath

  init(in stateDirectory: FilePath) { directory = stateDirectory.appending("cni") }

  private func place(_ network: String, _ container: String) -> FilePath {
    directory.appending(network).appending(container)
  }

  /// - Returns: Whether it was not there yet.
  func add(_ interface: String, of container: String, to network: String) throws(CNIError) -> Bool {
    let place = place(network, container)
    let isNew = !FileManager.default.fileExists(atPath: place.appending(interface).string)
    do {
      try FileManager.default.createDirectory(atPath: place.string, withIntermediateDirectories: true)
      try Data().write(to: URL(filePath: place.appending(interface).string))
      return isNew
    } catch { throw Self.failed("write", place, error) }
  }

  func remove(_ interface: String, of container: String, from network: String) {
    // What is left of it is found by the next GC, and says nothing.
    try? FileManager.default.removeItem(atPath: place(network, container).appending(interface).string)
    if (try? FileManager.default.contentsOfDirectory(atPath: place(network, container).string))?.isEmpty == true {
      try? FileManager.default.removeItem(atPath: place(network, container).string)
    }
  }

  /// Containers and interfaces on a network.
  func list(on network: String) throws(CNIError) -> [(container: String, interface: String)] {
    let place = directory.appending(network)
    guard FileManager.default.fileExists(atPath: place.string) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: place.string).sorted().flatMap { container in
        try FileManager.default.contentsOfDirectory(atPath: place.appending(container).string).sorted().map {
          (container, $0)
        }
      }
    } catch { throw Self.failed("read", place, error) }
  }

  private static func failed(_ what: String, _ place: FilePath, _ error: any Error) -> CNIError {
    CNIError(
      .record, "the directory \(place) cannot be \(what == "read" ? "read" : "written"); it is part of the record",
      details: "\(error)")
  }
}
