import FoundationEssentials

/// The pages that are made of a run: Performance.json, the marked parts of Performance.md, and Pictures/Attach.svg.
public struct Document: Sendable {
  private let directory: String

  /// Those in a directory, which has Performance.md.
  public init(_ directory: String) { self.directory = directory }

  private var page: String { "\(directory)/Performance.md" }
  private var record: String { "\(directory)/Performance.json" }
  private var picture: String { "\(directory)/Pictures/Attach.svg" }

  /// What is wrong with a page.
  public struct Fault: Error, CustomStringConvertible {
    /// In words.
    public let description: String
  }

  /// Writes all of them.
  ///
  /// - Throws: A ``Fault`` for a page without one of the parts; nothing is written then.
  public func make(of results: Results) throws {
    let texts = try pages(of: results)
    for (path, text) in texts { try text.write(toFile: path, atomically: true, encoding: .utf8) }
  }

  /// Files that are not as the recorded run makes them.
  public func differences() throws -> [String] {
    let results = try Results(json: Data(contentsOf: URL(filePath: record)))
    return try pages(of: results).filter { path, text in
      (try? String(contentsOfFile: path, encoding: .utf8)) != text
    }.map(\.path)
  }

  private func pages(of results: Results) throws -> [(path: String, text: String)] {
    var page = MarkedText(try String(contentsOfFile: self.page, encoding: .utf8))
    for (name, text) in Tables(results).parts {
      guard page.replace(name, with: text) else { throw Fault(description: "\(self.page) has no part \"\(name)\"") }
    }
    return [(record, try results.json()), (self.page, page.text), (picture, Chart(results).svg)]
  }
}
