import AdapterSupport

/// A template split into texts and the actions between `{{` and `}}`.
enum TemplatePieces {
  enum Piece {
    case text(String)
    case action(Substring)
  }

  static func all(_ text: String) throws(TemplateFault) -> [Piece] {
    var (pieces, rest): ([Piece], Substring) = ([], text[...])
    var trimsNext = false
    while !rest.isEmpty {
      let open = rest.firstRange(of: "{{")
      var plain = rest[..<(open?.lowerBound ?? rest.endIndex)]
      if trimsNext { plain = plain.drop { $0.isWhitespace } }
      trimsNext = false
      guard let open else {
        pieces.append(.text(String(plain)))
        break
      }
      rest = rest[open.upperBound...]
      guard let close = closing(rest) else { throw TemplateFault("a {{ is not closed by }}") }
      var action = rest[..<close]
      rest = rest[close...].dropFirst(2)
      // {{- and -}} remove blanks of the adjacent text (text/template, "Text and spaces").
      if action.hasPrefix("- ") {
        action = action.dropFirst(2)
        while plain.last?.isWhitespace == true { plain = plain.dropLast() }
      }
      if action.hasSuffix(" -") {
        action = action.dropLast(2)
        trimsNext = true
      }
      if !plain.isEmpty { pieces.append(.text(String(plain))) }
      if !action.drop(while: \.isWhitespace).hasPrefix("/*") { pieces.append(.action(action)) }
    }
    return pieces
  }

  /// The end of the action: a `}}` outside strings.
  private static func closing(_ text: Substring) -> Substring.Index? {
    var quote: Character?
    var index = text.startIndex
    while index < text.endIndex {
      let character = text[index]
      if let current = quote {
        if character == "\\", current == "\"" { index = text.index(after: index) }
        if index < text.endIndex, text[index] == current { quote = nil }
      } else if character == "\"" || character == "`" {
        quote = character
      } else if text[index...].hasPrefix("}}") {
        return index
      }
      if index < text.endIndex { index = text.index(after: index) }
    }
    return nil
  }
}

/// A word of an action.
enum TemplateToken: Equatable {
  case word(String)
  case field([String])
  case variable(String, [String])
  case literal(JSON)
  case open
  /// With the names after it: `(index .Ports 0).HostPort`.
  case close([String])
  case pipe, comma, assign

  static func all(_ text: Substring) throws(TemplateFault) -> [TemplateToken] {
    var (tokens, rest): ([TemplateToken], Substring) = ([], text)
    while let first = rest.first {
      switch first {
      case _ where first.isWhitespace: rest = rest.dropFirst()
      case "|", ",", "(", "=":
        tokens.append(first == "|" ? .pipe : first == "," ? .comma : first == "(" ? .open : .assign)
        rest = rest.dropFirst()
      case ":" where rest.hasPrefix(":="):
        tokens.append(.assign)
        rest = rest.dropFirst(2)
      case ")":
        rest = rest.dropFirst()
        tokens.append(.close(path(&rest)))
      case ".": tokens.append(.field(path(&rest)))
      case "$":
        rest = rest.dropFirst()
        let name = take(&rest, while: isNamePart)
        tokens.append(.variable(name, path(&rest)))
      case "\"", "`": tokens.append(.literal(.text(try string(&rest, first))))
      case _ where first.isNumber || first == "-":
        let text = take(&rest) { $0.isNumber || $0 == "-" }
        guard let number = Int64(text) else { throw TemplateFault("\"\(text)\" is not a whole number") }
        tokens.append(.literal(.number(number)))
      case _ where isNamePart(first): tokens.append(.word(take(&rest, while: isNamePart)))
      default: throw TemplateFault("\"\(text)\" has \"\(first)\" in it, which is not understood")
      }
    }
    return tokens
  }

  private static func isNamePart(_ character: Character) -> Bool {
    character.isLetter || character.isNumber || character == "_"
  }

  private static func take(_ rest: inout Substring, while isPart: (Character) -> Bool) -> String {
    let part = rest.prefix(while: isPart)
    rest = rest[part.endIndex...]
    return String(part)
  }

  /// `.A.B`; a name may have hyphens, unlike Go's, because networks' names may.
  private static func path(_ rest: inout Substring) -> [String] {
    var names: [String] = []
    while rest.first == "." {
      rest = rest.dropFirst()
      let name = take(&rest) { isNamePart($0) || $0 == "-" }
      if name.isEmpty { break }
      names.append(name)
    }
    return names
  }

  private static func string(_ rest: inout Substring, _ quote: Character) throws(TemplateFault) -> String {
    rest = rest.dropFirst()
    var text = ""
    while let next = rest.popFirst() {
      if next == quote { return text }
      guard next == "\\", quote == "\"", let escaped = rest.popFirst() else {
        text.append(next)
        continue
      }
      text.append(escaped == "n" ? "\n" : escaped == "t" ? "\t" : escaped)
    }
    throw TemplateFault("a string is not closed")
  }
}
