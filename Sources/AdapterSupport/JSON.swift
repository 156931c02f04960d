import FoundationEssentials

/// Any JSON value (RFC 8259), for data of engines and templates without a type of its own.
package enum JSON: Hashable, Sendable, Codable {
  case null
  case flag(Bool)
  case number(Int64)
  case large(UInt64)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  /// The JSON form of an encodable value.
  package init(_ value: some Encodable) throws {
    self = try JSONDecoder().decode(JSON.self, from: JSONEncoder().encode(value))
  }

  package init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let flag = try? value.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? value.decode(Int64.self) {
      self = .number(number)
    } else if let number = try? value.decode(UInt64.self) {
      self = .large(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSON].self) {
      self = .list(list)
    } else {
      self = .object(try value.decode([String: JSON].self))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .flag(let flag): try container.encode(flag)
    case .number(let number): try container.encode(number)
    case .large(let number): try container.encode(number)
    case .text(let text): try container.encode(text)
    case .list(let list): try container.encode(list)
    case .object(let fields): try container.encode(fields)
    }
  }

  /// A list of texts.
  package static func texts(_ texts: [String]) -> JSON { .list(texts.map(JSON.text)) }

  /// The form in a template's output: a text bare, all else as JSON.
  package var plain: String {
    if case .text(let text) = self { return text }
    return (try? Self.line(self)) ?? ""
  }

  /// One line. Keys are sorted, because the encoder does not preserve their order.
  package static func line(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// Indented by four, as Docker does.
  package func page(indent: String = "") throws -> String {
    let inner = indent + "    "
    switch self {
    case .list(let list) where !list.isEmpty:
      let lines = try list.map { element in inner + (try element.page(indent: inner)) }
      return "[\n\(lines.joined(separator: ",\n"))\n\(indent)]"
    case .object(let fields) where !fields.isEmpty:
      let lines = try fields.sorted { $0.key < $1.key }.map { key, value in
        "\(inner)\(try Self.line(key)): \(try value.page(indent: inner))"
      }
      return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
    default: return try Self.line(self)
    }
  }
}
