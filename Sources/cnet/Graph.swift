import AdapterSupport
import ArgumentParser
import ContainerNetworking
import SystemPackage

struct Graph: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "graph", abstract: "Draw the host's networks, the containers on them and the links that lead outside.",
    discussion: """
      Formats: text, for a terminal; svg, a picture for a browser; mermaid, a chart for Markdown; json.
      """)

  @Option(help: .init("How.", valueName: "format"))
  var format = GraphFormat.text
  @Option(
    name: .shortAndLong, help: .init("Write to this file instead of standard output.", valueName: "file"),
    completion: .file())
  var output: String?
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let graph = try await global.controller().graph()
    try format.text(of: graph, marking: nil).write(to: output)
  }
}

/// The output format of a graph.
enum GraphFormat: String, ExpressibleByArgument, CaseIterable {
  case text, svg, mermaid, json

  func text(of graph: NetworkGraph, marking path: NetworkGraph.Path?) throws -> String {
    switch self {
    case .text: graph.description.isEmpty ? "" : graph.description + "\n"
    case .svg: graph.svg(marking: path)
    case .mermaid: graph.mermaid(marking: path)
    case .json: try JSON(graph).page() + "\n"
    }
  }
}

extension String {
  /// Writes it to a file; without one, to standard output.
  func write(to file: String?) throws {
    guard let file else {
      print(self, terminator: "")
      return
    }
    let path = absolutePath(file)
    do {
      let descriptor = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
      try descriptor.closeAfter { _ = try descriptor.writeAll(utf8) }
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        NetworkError.Code(errno), operation: "write \(path)", reason: "name a writable file",
        kernel: KernelReport(errno: errno, request: "open"))
    }
  }
}
