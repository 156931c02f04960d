import AdapterSupport
import ContainerNetworking

/// The part of Go's templates that Docker's `--format` is used for: `{{.Name}}`, `{{.IPAM.Driver}}`, `{{json .Labels}}`,
/// `{{range .IPAM.Config}}{{.Subnet}} {{end}}`, and `\t`, `\n` in the text.
struct Template {
  private indirect enum Part {
    case text(String)
    case field([String], isJSON: Bool)
    case range([String], [Part])
  }

  private let parts: [Part]
  private let source: String

  /// - Throws: `.invalidValue` for what is not understood.
  init(_ text: String) throws(NetworkError) {
    source = text
    var rest = text.replacing("\\t", with: "\t").replacing("\\n", with: "\n")[...]
    var isOpen = false
    parts = try Self.parts(&rest, in: text, isNested: false, &isOpen)
  }

  /// The text for one value.
  ///
  /// - Throws: `.invalidValue` for a field that there is not, listing those that there are.
  func render(_ value: JSON) throws(NetworkError) -> String { try render(parts, value) }

  /// The last name of each field, in order: titles for a table.
  var fields: [String] {
    parts.compactMap { part in
      if case .field(let path, _) = part { return path.last }
      return nil
    }
  }

  /// Each field replaced by what `title` gives for its name.
  func header(_ title: (String) -> String) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .field(let path, _), .range(let path, _): title(path.last ?? "")
      }
    }.joined()
  }

  private func render(_ parts: [Part], _ value: JSON) throws(NetworkError) -> String {
    var result = ""
    for part in parts {
      switch part {
      case .text(let text): result += text
      case .field(let path, true):
        let found = try follow(path, value)
        result += (try? JSON.line(found)) ?? ""
      case .field(let path, false): result += try follow(path, value).plain
      case .range(let path, let inner):
        for element in try elements(try follow(path, value)) { result += try render(inner, element) }
      }
    }
    return result
  }

  private func elements(_ value: JSON) throws(NetworkError) -> [JSON] {
    switch value {
    case .list(let list): return list
    case .object(let fields): return fields.sorted { $0.key < $1.key }.map(\.value)
    default: throw Self.malformed(source, "range wants a list, and there is \(value.plain)")
    }
  }

  private func follow(_ path: [String], _ value: JSON) throws(NetworkError) -> JSON {
    var value = value
    for name in path {
      guard case .object(let fields) = value else {
        throw Self.malformed(source, "there is no field \"\(name)\" in \(value.plain)")
      }
      guard let next = fields[name] else {
        throw Self.malformed(
          source, "there is no field \"\(name)\"; there are: \(fields.keys.sorted().joined(separator: ", "))")
      }
      value = next
    }
    return value
  }

  private static func parts(
    _ rest: inout Substring, in source: String, isNested: Bool, _ isClosed: inout Bool
  ) throws(NetworkError) -> [Part] {
    var parts: [Part] = []
    while !rest.isEmpty {
      guard let open = rest.firstRange(of: "{{") else { break }
      if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
      rest = rest[open.upperBound...]
      guard let close = rest.firstRange(of: "}}") else { throw malformed(source, "a {{ is not closed by }}") }
      let words = rest[..<close.lowerBound].split(separator: " ").map(String.init)
      rest = rest[close.upperBound...]
      switch (words.first, words.count) {
      case ("end", 1) where isNested:
        isClosed = true
        return parts
      case ("range", 2):
        var isEnded = false
        let inner = try self.parts(&rest, in: source, isNested: true, &isEnded)
        guard isEnded else { throw malformed(source, "a {{range}} has no {{end}}") }
        parts.append(.range(try path(words[1], source), inner))
      case ("json", 2): parts.append(.field(try path(words[1], source), isJSON: true))
      case (let word?, 1): parts.append(.field(try path(word, source), isJSON: false))
      default: throw malformed(source, "\"\(words.joined(separator: " "))\" is not understood")
      }
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    rest = rest[rest.endIndex...]
    return parts
  }

  private static func path(_ text: String, _ source: String) throws(NetworkError) -> [String] {
    guard text.hasPrefix(".") else { throw malformed(source, "\"\(text)\" is no field; fields start with a dot") }
    return text.dropFirst().split(separator: ".").map(String.init)
  }

  private static func malformed(_ source: String, _ why: String) -> NetworkError {
    NetworkError(
      .invalidValue, operation: "read format \"\(source)\"",
      reason: "\(why); right are {{.Name}}, {{json .Labels}} and {{range .IPAM.Config}}{{.Subnet}}{{end}}")
  }
}
