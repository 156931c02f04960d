import NetworkPrimitives
import Testing

/// The error that a call is refused with; a call that is not refused fails the test.
func refusal<Value>(
  _ body: () async throws -> Value, sourceLocation: SourceLocation = #_sourceLocation
) async -> NetworkError? {
  await #expect(throws: NetworkError.self, sourceLocation: sourceLocation) { _ = try await body() }
}
