import AdapterSupport

/// The functions of templates: Go's own, and Docker's additions.
enum TemplateFunctions {
  static let names: Set<String> = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not", "or", "pad", "print",
    "printf",
    "println", "split", "title", "truncate", "upper",
  ]

  static var list: String { names.sorted().joined(separator: ", ") }

  static func call(_ name: String, _ arguments: [JSON]) throws(TemplateFault) -> JSON {
    let text = arguments.last?.plain ?? ""
    switch (name, arguments.count) {
    case ("json", 1): return .text((try? JSON.line(arguments[0])) ?? "")
    case ("index", 1...): return try index(arguments[0], arguments.dropFirst())
    case ("len", 1): return .number(try length(arguments[0]))
    case ("not", 1): return .flag(!arguments[0].isTrue)
    case ("and", 1...): return arguments.first { !$0.isTrue } ?? arguments[arguments.count - 1]
    case ("or", 1...): return arguments.first { $0.isTrue } ?? arguments[arguments.count - 1]
    case ("eq", 2...): return .flag(arguments.dropFirst().contains(arguments[0]))
    case ("ne", 2): return .flag(arguments[0] != arguments[1])
    case ("lt", 2): return .flag(try isLess(arguments[0], arguments[1]))
    case ("le", 2): return .flag(try !isLess(arguments[1], arguments[0]))
    case ("gt", 2): return .flag(try isLess(arguments[1], arguments[0]))
    case ("ge", 2): return .flag(try !isLess(arguments[0], arguments[1]))
    case ("print", _): return .text(arguments.map(\.plain).joined())
    case ("println", _): return .text(arguments.map(\.plain).joined(separator: " ") + "\n")
    case ("printf", 1...): return .text(try formatted(arguments[0].plain, arguments.dropFirst()))
    case ("upper", 1): return .text(text.uppercased())
    case ("lower", 1): return .text(text.lowercased())
    case ("title", 1): return .text(text.prefix(1).uppercased() + text.dropFirst())
    case ("join", 2): return try joined(arguments[0], arguments[1])
    case ("split", 2): return .texts(split(arguments[0].plain, by: arguments[1].plain))
    case ("truncate", 2): return .text(try truncated(arguments))
    case ("pad", 3): return .text(try padded(arguments))
    default: throw TemplateFault("\(name) does not take \(arguments.count) values")
    }
  }

  /// A missing key of a map gives an empty text, as with Go's maps of texts.
  private static func index(_ value: JSON, _ keys: ArraySlice<JSON>) throws(TemplateFault) -> JSON {
    var value = value
    for key in keys {
      switch (value, key) {
      case (.object(let fields), .text(let name)): value = fields[name] ?? .text("")
      case (.list(let list), .number(let number)):
        guard list.indices.contains(Int(clamping: number)) else {
          throw TemplateFault("there is no element \(number) in a list of \(list.count)")
        }
        value = list[Int(clamping: number)]
      default: throw TemplateFault("\(value.plain) has no element \(key.plain)")
      }
    }
    return value
  }

  private static func length(_ value: JSON) throws(TemplateFault) -> Int64 {
    switch value {
    case .null: 0
    case .text(let text): Int64(text.utf8.count)
    case .list(let list): Int64(list.count)
    case .object(let fields): Int64(fields.count)
    case .flag, .number, .large: throw TemplateFault("\(value.plain) has no length")
    }
  }

  private static func isLess(_ left: JSON, _ right: JSON) throws(TemplateFault) -> Bool {
    switch (left, right) {
    case (.number(let left), .number(let right)): left < right
    case (.text(let left), .text(let right)): left < right
    default: throw TemplateFault("\(left.plain) and \(right.plain) cannot be compared")
    }
  }

  private static func joined(_ list: JSON, _ separator: JSON) throws(TemplateFault) -> JSON {
    guard case .list(let list) = list else { throw TemplateFault("join wants a list, and there is \(list.plain)") }
    return .text(list.map(\.plain).joined(separator: separator.plain))
  }

  private static func split(_ text: String, by separator: String) -> [String] {
    guard !separator.isEmpty else { return text.map(String.init) }
    var (parts, rest): ([String], Substring) = ([], text[...])
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }

  private static func truncated(_ arguments: [JSON]) throws(TemplateFault) -> String {
    guard case .number(let count) = arguments[1] else { throw TemplateFault("truncate wants a text and a number") }
    return String(arguments[0].plain.prefix(max(0, Int(clamping: count))))
  }

  private static func padded(_ arguments: [JSON]) throws(TemplateFault) -> String {
    guard case .number(let before) = arguments[1], case .number(let after) = arguments[2], (0...1_000).contains(before),
      (0...1_000).contains(after)
    else { throw TemplateFault("pad wants a text and two numbers up to 1000") }
    let text = arguments[0].plain
    return text.isEmpty
      ? "" : String(repeating: " ", count: Int(before)) + text + String(repeating: " ", count: Int(after))
  }

  /// `%s`, `%v`, `%d`, `%t`, `%q`, with a width and a minus, and `%%`.
  private static func formatted(_ format: String, _ values: ArraySlice<JSON>) throws(TemplateFault) -> String {
    var (result, rest, values) = ("", format[...], values)
    while let next = rest.popFirst() {
      guard next == "%" else {
        result.append(next)
        continue
      }
      let isLeft = rest.first == "-"
      if isLeft { rest = rest.dropFirst() }
      let digits = rest.prefix { $0.isNumber }
      rest = rest[digits.endIndex...]
      let width = min(Int(digits) ?? 0, 1_000)
      guard let verb = rest.popFirst(), "svdtq%".contains(verb) else {
        throw TemplateFault("printf has %s, %v, %d, %t, %q and %%, with a width, and \"\(format)\" has another")
      }
      guard verb != "%" else {
        result.append("%")
        continue
      }
      guard let value = values.popFirst() else { throw TemplateFault("\"\(format)\" wants more values") }
      let text = verb == "q" ? "\"\(value.plain)\"" : value.plain
      let blanks = String(repeating: " ", count: max(0, width - text.count))
      result += isLeft ? text + blanks : blanks + text
    }
    return result
  }
}
