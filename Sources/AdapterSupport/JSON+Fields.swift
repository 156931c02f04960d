extension JSON {
  /// A field of an object; nil if it is missing or null.
  package subscript(_ name: String) -> JSON? {
    guard case .object(let fields) = self, let value = fields[name], value != .null else { return nil }
    return value
  }

  /// The text, of a text alone.
  package var text: String? { if case .text(let text) = self { text } else { nil } }

  /// The flag, of true and false alone.
  package var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }

  /// The value of a whole number within the range of `Int`.
  package var number: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }

  /// The elements, of a list alone.
  package var list: [JSON]? { if case .list(let list) = self { list } else { nil } }

  /// The fields, of an object alone.
  package var fields: [String: JSON]? { if case .object(let fields) = self { fields } else { nil } }

  /// An object of the fields that have a value.
  package static func compact(_ fields: KeyValuePairs<String, JSON?>) -> JSON {
    var present: [String: JSON] = [:]
    for (name, value) in fields { if let value { present[name] = value } }
    return .object(present)
  }

  /// The text of a value.
  package static func describing(_ value: some CustomStringConvertible) -> JSON { .text(value.description) }

  /// The kind of value, in words.
  package var kind: String {
    switch self {
    case .null: "null"
    case .flag: "true or false"
    case .number, .large: "a number"
    case .text: "a text"
    case .list: "a list"
    case .object: "an object"
    }
  }
}
