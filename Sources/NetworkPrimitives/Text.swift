/// `text` as an error sentence shows it: in quotes, control characters escaped, cut after 80 characters.
package func quoted(_ text: some StringProtocol) -> String {
  let shown = text.prefix(80)
  return String(shown).debugDescription + (shown.endIndex == text.endIndex ? "" : "…")
}

/// A count with its noun: `1 step`, `2 steps`.
package func counted(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }

/// The number that `digits` write in decimal: ASCII digits alone, no sign, no leading zero, not over `limit`.
package func decimal(_ digits: some Sequence<UInt8>, atMost limit: UInt32) -> UInt32? {
  var value: UInt64 = 0
  var count = 0
  for byte in digits {
    let digit = byte &- UInt8(ascii: "0")
    guard digit <= 9, count == 0 || value > 0 else { return nil }
    value = value * 10 + UInt64(digit)
    count += 1
    guard value <= limit else { return nil }
  }
  return count > 0 ? UInt32(value) : nil
}

/// The value of one hexadecimal digit in ASCII, either case.
func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// The hexadecimal digit, lower case, for a value under 16.
func hexDigit(_ value: UInt8) -> UInt8 {
  value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

extension NetworkError {
  /// The error for a value that breaks a rule; `reason` names value, rule and remedy.
  package static func invalid(_ operation: String, _ reason: String) -> NetworkError {
    NetworkError(.invalidValue, operation: operation, reason: reason)
  }
}

extension Decoder {
  /// Decodes a string and parses it; a refusal becomes a `DecodingError` that carries the sentence of the parser.
  package func decodeText<Value>(_ parse: (String) throws(NetworkError) -> Value) throws -> Value {
    let text = try singleValueContainer().decode(String.self)
    return try checked { () throws(NetworkError) in try parse(text) }
  }

  /// Returns the result of `make`; a refusal becomes a `DecodingError` with the same sentence.
  package func checked<Value>(_ make: () throws(NetworkError) -> Value) throws -> Value {
    do {
      return try make()
    } catch {
      let context = DecodingError.Context(
        codingPath: codingPath, debugDescription: error.description, underlyingError: error)
      throw DecodingError.dataCorrupted(context)
    }
  }
}

extension Encoder {
  /// Encodes `value` as the string that its parser reads back.
  package func encodeText(_ value: some CustomStringConvertible) throws {
    var container = singleValueContainer()
    try container.encode(value.description)
  }
}
