import Foundation
import NetworkPrimitives
import TestSupport
import Testing

extension IPAddress {
  /// A random address; IPv6 often has runs of zero groups, which is where its text is difficult.
  static func random(using generator: inout SeededGenerator) -> IPAddress {
    if Bool.random(using: &generator) { return .v4(IPv4Address(rawValue: .random(in: 0 ... .max, using: &generator))) }
    return .v6(.randomWithZeros(using: &generator))
  }
}

extension IPv6Address {
  static func randomWithZeros(using generator: inout SeededGenerator) -> IPv6Address {
    var number: UInt128 = 0
    for _ in 0..<8 {
      let choices: [UInt16] = [
        0, 0, 0, 0xffff, .random(in: 0...0xff, using: &generator), .random(in: 0 ... .max, using: &generator),
      ]
      number = number << 16 | UInt128(choices[Int.random(in: 0..<6, using: &generator)])
    }
    return IPv6Address(rawValue: number)
  }
}

/// Checks that `parse` refuses, as an invalid value, with a sentence that has all of `parts` in it.
func expectInvalid<Value>(
  _ parts: [String], sourceLocation: SourceLocation = #_sourceLocation,
  parse: () throws(NetworkError) -> Value
) {
  do {
    let value = try parse()
    Issue.record("accepted as \(value)", sourceLocation: sourceLocation)
  } catch {
    #expect(error.code == .invalidValue, sourceLocation: sourceLocation)
    for part in parts {
      #expect(error.reason.contains(part), "\(error)", sourceLocation: sourceLocation)
    }
  }
}

/// Checks that a value is encoded as its text, and read back.
func expectCodedAsText<Value: Codable & Equatable & CustomStringConvertible>(
  _ value: Value, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  let json = try encoder.encode([value])
  #expect(String(decoding: json, as: UTF8.self) == "[\"\(value)\"]", sourceLocation: sourceLocation)
  #expect(try JSONDecoder().decode([Value].self, from: json) == [value], sourceLocation: sourceLocation)
}

/// Checks that decoding `text` fails as data corrupted, with the sentence of the parser.
func expectDecodingFails<Value: Decodable>(
  _ type: Value.Type, _ text: String, says part: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let json = try JSONEncoder().encode([text])
  do {
    _ = try JSONDecoder().decode([Value].self, from: json)
    Issue.record("decoded \(text)", sourceLocation: sourceLocation)
  } catch DecodingError.dataCorrupted(let context) {
    #expect(context.debugDescription.contains(part), sourceLocation: sourceLocation)
    #expect(context.underlyingError is NetworkError, sourceLocation: sourceLocation)
  }
}
