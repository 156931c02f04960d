import NetworkPrimitives
import Testing

/// SplitMix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}

/// Checks that `body` throws `code`, in a description (causes and all) that has every one of `parts` in it.
@discardableResult
func expectError<Value>(
  _ code: NetworkError.Code, _ parts: [String], sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Value
) -> NetworkError? {
  do {
    let value = try body()
    Issue.record("no error, but \(value)", sourceLocation: sourceLocation)
  } catch let error as NetworkError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    for part in parts { #expect(error.description.contains(part), "\(error)", sourceLocation: sourceLocation) }
    return error
  } catch {
    Issue.record("threw \(error)", sourceLocation: sourceLocation)
  }
  return nil
}

func address(_ text: String) throws -> IPAddress { try IPAddress(text) }
