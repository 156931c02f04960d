import ContainerNetworkingDNS
import TestSupport
import Testing

/// The octets that a dump writes in hexadecimal, with any white space between them.
func octets(_ hex: String) -> [UInt8] {
  var octets: [UInt8] = []
  var high: UInt8?
  for digit in hex.compactMap(\.hexDigitValue) {
    if let first = high {
      octets.append(first << 4 | UInt8(digit))
      high = nil
    } else {
      high = UInt8(digit)
    }
  }
  return octets
}

/// Checks that a message is refused as malformed, with a sentence that has all of `parts` in it.
func expectMalformed(_ bytes: [UInt8], _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation) {
  let error = #expect(throws: NetworkError.self, sourceLocation: sourceLocation) { try Message(parsing: bytes) }
  #expect(error?.code == .malformedMessage, sourceLocation: sourceLocation)
  for part in parts {
    #expect(error?.reason.contains(part) == true, "\(String(describing: error))", sourceLocation: sourceLocation)
  }
}

extension DomainName {
  /// A random name: of few labels of few letters, so that names share their ends; now and then of any octets.
  static func random(using generator: inout SeededGenerator) -> DomainName {
    let strange = Int.random(in: 0..<16, using: &generator) == 0
    let labels = (0..<Int.random(in: 0...(strange ? 12 : 5), using: &generator)).map { _ in
      (0..<Int.random(in: 1...(strange ? 20 : 2), using: &generator)).map { _ in
        strange ? UInt8.random(in: 0 ... .max, using: &generator) : "abAB".utf8.randomElement(using: &generator) ?? 0
      }
    }
    return (try? DomainName(labels: labels)) ?? .root
  }
}
