import AdapterSupport
import ContainerNetworking

/// A template at work on a value.
struct TemplateRendering {
  let root: JSON
  private var variables: [String: JSON] = [:]

  init(root: JSON) { self.root = root }

  mutating func text(of nodes: [TemplateNode], _ dot: JSON) throws(TemplateFault) -> String {
    var result = ""
    for node in nodes {
      switch node {
      case .text(let text): result += text
      case .print(let pipeline): result += try value(of: pipeline, dot).plain
      case .assign(let name, let pipeline): variables[name] = try value(of: pipeline, dot)
      case .range(let names, let pipeline, let inner, let otherwise):
        let pairs = try Self.elements(try value(of: pipeline, dot))
        if pairs.isEmpty { result += try text(of: otherwise, dot) }
        for (key, element) in pairs {
          if let last = names.last { variables[last] = element }
          if names.count > 1 { variables[names[0]] = key }
          result += try text(of: inner, element)
        }
      case .branch(let isWith, let names, let pipeline, let inner, let otherwise):
        let found = try value(of: pipeline, dot)
        if let name = names.first { variables[name] = found }
        result += try found.isTrue ? text(of: inner, isWith ? found : dot) : text(of: otherwise, dot)
      }
    }
    return result
  }

  private func value(of pipeline: TemplatePipeline, _ dot: JSON) throws(TemplateFault) -> JSON {
    var piped: JSON?
    for call in pipeline.calls {
      var arguments: [JSON] = []
      for operand in call.arguments { arguments.append(try value(of: operand, dot)) }
      if let piped { arguments.append(piped) }
      piped = try value(of: call.head, dot, arguments)
    }
    return piped ?? .null
  }

  private func value(of operand: TemplateOperand, _ dot: JSON, _ arguments: [JSON] = []) throws(TemplateFault) -> JSON {
    if case .function(let name) = operand { return try TemplateFunctions.call(name, arguments) }
    // Docker's {{.Label "name"}} of a row.
    if case .field(["Label"]) = operand, arguments.count == 1 { return dot.label(arguments[0].plain) }
    guard arguments.isEmpty else { throw TemplateFault("only functions take values: \(TemplateFunctions.list)") }
    switch operand {
    case .field(let path): return try Self.follow(path, dot)
    case .variable(let name, let path):
      guard let value = name.isEmpty ? root : variables[name] else {
        throw TemplateFault("there is no variable \"$\(name)\"")
      }
      return try Self.follow(path, value)
    case .literal(let value): return value
    case .group(let pipeline, let path): return try Self.follow(path, try value(of: pipeline, dot))
    case .function: return .null
    }
  }

  private static func elements(_ value: JSON) throws(TemplateFault) -> [(JSON, JSON)] {
    switch value {
    case .list(let list): return list.enumerated().map { (.number(Int64($0)), $1) }
    case .object(let fields): return fields.sorted { $0.key < $1.key }.map { (.text($0.key), $0.value) }
    case .null: return []
    default: throw TemplateFault("range wants a list, and there is \(value.plain)")
    }
  }

  private static func follow(_ path: [String], _ value: JSON) throws(TemplateFault) -> JSON {
    var value = value
    for name in path {
      guard case .object(let fields) = value else {
        throw TemplateFault("there is no field \"\(name)\" in \(value.plain)")
      }
      guard let next = fields[name] else {
        let names = fields.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        throw TemplateFault(
          "there is no field \"\(name)\"; \(fields.isEmpty ? "there are none" : "there are: \(names)")")
      }
      value = next
    }
    return value
  }
}

extension JSON {
  /// The truth of a value in Go's templates: everything but empty values and 0.
  var isTrue: Bool {
    switch self {
    case .null: false
    case .flag(let flag): flag
    case .number(let number): number != 0
    case .large: true
    case .text(let text): !text.isEmpty
    case .list(let list): !list.isEmpty
    case .object(let fields): !fields.isEmpty
    }
  }

  /// One of the labels of a row, which has them as `name=value,name=value`.
  fileprivate func label(_ name: String) -> JSON {
    guard case .object(let fields) = self, case .text(let labels)? = fields["Labels"] else { return .text("") }
    for label in labels.split(separator: ",") {
      let halves = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if halves[0] == name { return .text(halves.count == 2 ? String(halves[1]) : "") }
    }
    return .text("")
  }
}
