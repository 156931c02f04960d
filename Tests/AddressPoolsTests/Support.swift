import NetworkPrimitives
import Testing

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
