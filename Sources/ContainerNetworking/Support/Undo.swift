import NetworkPrimitives

/// The way back out of an operation of several steps: what each step did is noted with what takes it back, and a
/// failure runs the notes in reverse. Every step is tried; what could not be taken back is reported with the failure.
struct Undo {
  private var steps: [() throws(NetworkError) -> Void] = []

  mutating func note(_ step: @escaping () throws(NetworkError) -> Void) { steps.append(step) }

  /// Takes everything back, and returns what could not be.
  mutating func run() -> [NetworkError] {
    var failures: [NetworkError] = []
    while let step = steps.popLast() {
      do throws(NetworkError) { try step() } catch {
        // Gone already is what was wanted.
        if error.code != .notFound { failures.append(error) }
      }
    }
    return failures
  }

  /// Runs `body`; when it throws, takes back what it noted and throws the failure, as a cause of `operation`'s.
  static func guarding<Value>(
    _ operation: String, _ body: (inout Undo) throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    var undo = Undo()
    do { return try body(&undo) } catch {
      let leftovers = undo.run()
      throw NetworkError(
        error.code, operation: operation,
        reason: leftovers.isEmpty ? "nothing was changed" : "\(leftovers.count) steps could not be taken back",
        kernel: nil, causes: [error] + leftovers)
    }
  }
}
