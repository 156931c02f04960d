/// Queries for a `catch` without a pattern. Patterns and `where` on several clauses in async code can send Swift 6.3's
/// compiler into an endless loop.
///
///     do { try await controller.attach("web") } catch {
///       guard error.is(.alreadyExists) else { throw error }
///       print("it is attached already")
///     }
extension NetworkError {
  /// Whether its code is one of these.
  public func `is`(_ codes: Code...) -> Bool { codes.contains(code) }

  /// Throws the error again unless its code is one of these: for failures that count as success.
  ///
  ///     do { try await controller.detach("web") } catch { try error.rethrow(unless: .notFound) }
  ///
  /// This is a method because `throw error` would make the error of an enclosing `do` untyped.
  ///
  /// - Throws: The error itself.
  public func rethrow(unless codes: Code...) throws(NetworkError) {
    guard codes.contains(code) else { throw self }
  }
}
