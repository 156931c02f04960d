import AdapterSupport

/// Reads templates.
struct TemplateParser {
  private var tokens: ArraySlice<TemplateToken>
  private let source: Substring

  static func nodes(_ text: String) throws(TemplateFault) -> [TemplateNode] {
    var pieces = try TemplatePieces.all(text.replacing("\\t", with: "\t").replacing("\\n", with: "\n"))[...]
    let (nodes, end) = try nodes(&pieces)
    guard end == nil else { throw TemplateFault("an {{\(end ?? "")}} ends nothing") }
    return nodes
  }

  /// - Returns: The nodes before an outer `end` or `else`, and that word.
  private static func nodes(
    _ pieces: inout ArraySlice<TemplatePieces.Piece>
  ) throws(TemplateFault) -> ([TemplateNode], String?) {
    var nodes: [TemplateNode] = []
    while let piece = pieces.popFirst() {
      switch piece {
      case .text(let text): nodes.append(.text(text))
      case .action(let text):
        var parser = TemplateParser(tokens: try TemplateToken.all(text)[...], source: text)
        guard case .word(let word)? = parser.tokens.first else {
          nodes.append(try parser.statement())
          continue
        }
        switch word {
        case "end": return (nodes, "end")
        case "else":
          // {{else if X}} is an if in the else.
          guard parser.tokens.count > 1 else { return (nodes, "else") }
          pieces.insert(.action(text.drop { $0 != "e" }.dropFirst(4)), at: pieces.startIndex)
          return (nodes, "else if")
        case "range", "if", "with": nodes.append(try block(word, &parser, &pieces))
        case "template", "define", "block", "break", "continue": throw TemplateFault("{{\(word)}} is not understood")
        default: nodes.append(try parser.statement())
        }
      }
    }
    return (nodes, nil)
  }

  private static func block(
    _ word: String, _ parser: inout TemplateParser, _ pieces: inout ArraySlice<TemplatePieces.Piece>
  ) throws(TemplateFault) -> TemplateNode {
    parser.tokens = parser.tokens.dropFirst()
    let variables = try parser.declarations()
    let pipeline = try parser.pipeline()
    try parser.expectEnd()
    let (inner, end) = try nodes(&pieces)
    var otherwise: [TemplateNode] = []
    switch end {
    case "else":
      let (rest, last) = try nodes(&pieces)
      guard last == "end" else { throw TemplateFault("a {{\(word)}} has no {{end}}") }
      otherwise = rest
    case "else if":
      // The rest is the inner `if`, which ends both.
      guard case .action(let text)? = pieces.popFirst() else { throw TemplateFault("a {{\(word)}} has no {{end}}") }
      var next = TemplateParser(tokens: try TemplateToken.all(text)[...], source: text)
      guard case .word(let inner)? = next.tokens.first, ["if", "with"].contains(inner) else {
        throw TemplateFault("\"else\(text)\" is not understood")
      }
      otherwise = [try block(inner, &next, &pieces)]
    case "end": break
    default: throw TemplateFault("a {{\(word)}} has no {{end}}")
    }
    return word == "range"
      ? .range(variables, pipeline, inner, otherwise: otherwise)
      : .branch(isWith: word == "with", variables, pipeline, inner, otherwise: otherwise)
  }

  private mutating func statement() throws(TemplateFault) -> TemplateNode {
    let variables = try declarations()
    let pipeline = try pipeline()
    try expectEnd()
    guard let name = variables.first else { return .print(pipeline) }
    return .assign(name, pipeline)
  }

  /// `$x :=`, `$k, $v :=`, `$x =`.
  private mutating func declarations() throws(TemplateFault) -> [String] {
    guard let index = tokens.firstIndex(of: .assign) else { return [] }
    var names: [String] = []
    for token in tokens[..<index] {
      switch token {
      case .variable(let name, []) where !name.isEmpty: names.append(name)
      case .comma: continue
      default: throw fault
      }
    }
    guard !names.isEmpty else { throw fault }
    tokens = tokens[(index + 1)...]
    return names
  }

  private mutating func pipeline() throws(TemplateFault) -> TemplatePipeline {
    var calls = [try call()]
    while tokens.first == .pipe {
      tokens = tokens.dropFirst()
      calls.append(try call())
    }
    return TemplatePipeline(calls: calls)
  }

  private mutating func call() throws(TemplateFault) -> TemplateCall {
    var operands: [TemplateOperand] = []
    loop: while let token = tokens.first {
      switch token {
      case .pipe, .close: break loop
      case .field(let path): operands.append(.field(path))
      case .variable(let name, let path): operands.append(.variable(name, path))
      case .literal(let value): operands.append(.literal(value))
      case .word("true"): operands.append(.literal(.flag(true)))
      case .word("false"): operands.append(.literal(.flag(false)))
      case .word("nil"): operands.append(.literal(.null))
      case .word(let name):
        guard TemplateFunctions.names.contains(name) else {
          throw TemplateFault(
            "there is no function \"\(name)\"; there are: \(TemplateFunctions.names.sorted().joined(separator: ", "))")
        }
        operands.append(.function(name))
      case .open:
        tokens = tokens.dropFirst()
        let inner = try pipeline()
        guard case .close(let path)? = tokens.first else { throw TemplateFault("a ( is not closed by )") }
        operands.append(.group(inner, path))
      case .comma, .assign: throw fault
      }
      tokens = tokens.dropFirst()
    }
    guard let head = operands.first else { throw fault }
    return TemplateCall(head: head, arguments: Array(operands.dropFirst()))
  }

  private func expectEnd() throws(TemplateFault) {
    guard tokens.isEmpty else { throw fault }
  }

  private var fault: TemplateFault { TemplateFault("\"\(source)\" is not understood") }
}
