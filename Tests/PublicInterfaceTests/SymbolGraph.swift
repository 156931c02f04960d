import Foundation
import Testing

/// The compiler's description of a module's declarations, as far as these tests need it.
struct SymbolGraph: Decodable {
  var symbols: [Symbol]

  struct Symbol: Decodable {
    var kind: Kind
    var pathComponents: [String]
    var declarationFragments: [Fragment]

    var name: String { pathComponents.joined(separator: ".") }

    /// The types in the declaration that are neither Swift's nor the C library's.
    var foreignTypes: [String] {
      declarationFragments.compactMap { fragment in
        // The compiler names C declarations "c:" and those of Swift "s:" and the length and name of their module.
        guard let id = fragment.preciseIdentifier, !id.hasPrefix("s:") || id.hasPrefix("s:5Glibc") else { return nil }
        return fragment.spelling
      }
    }
  }

  struct Kind: Decodable {
    var identifier: String
  }

  struct Fragment: Decodable {
    var spelling: String
    var preciseIdentifier: String?
  }

  /// The modules that `import ContainerNetworking` brings.
  static let imported = ["NetworkPrimitives", "AddressPools", "Netlink", "ContainerNetworking"]
  /// The modules of all products but ContainerNetworkingFoundation, which declares nothing of its own.
  static let modules =
    imported + [
      "ContainerNetworkingDNS", "ContainerNetworkingForwarder", "ContainerNetworkingStore",
      "ContainerNetworkingTestKit",
    ]

  /// Writes the symbol graphs of the modules with which this test was built.
  ///
  /// - Parameter access: The minimum access of the included declarations.
  static func extract(access: String = "public") throws -> [String: SymbolGraph] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let out = FileManager.default.temporaryDirectory.appending(path: "symbol-graphs-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let process = Process()
    process.executableURL = root.appending(path: ".ci/symbol-graphs")
    process.arguments = [built.path(), out.path()]
    process.environment = ProcessInfo.processInfo.environment.merging(["ACCESS": access]) { $1 }
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    var graphs: [String: SymbolGraph] = [:]
    for module in modules {
      let data = try Data(contentsOf: out.appending(path: "\(module)/\(module).symbols.json"))
      graphs[module] = try JSONDecoder().decode(SymbolGraph.self, from: data)
    }
    return graphs
  }
}
