/// For a `catch` without a pattern: one clause that asks. Patterns and `where` on several clauses in async code can keep
/// Swift 6.3's compiler busy without end.
///
///     do { try await controller.attach("web") } catch {
///       guard error.is(.alreadyExists) else { throw error }
///       print("it is attached already")
///     }
extension NetworkError {
  /// Whether its code is one of these.
  public func `is`(_ codes: Code...) -> Bool { codes.contains(code) }

  /// Throws the error again, unless its code is one of these: for failures that are as good as success.
  ///
  ///     do { try await controller.detach("web") } catch { try error.rethrow(unless: .notFound) }
  ///
  /// A call, where `throw error` makes an untyped error of it for a `do` around it.
  ///
  /// - Throws: The error itself.
  public func rethrow(unless codes: Code...) throws(NetworkError) {
    guard codes.contains(code) else { throw self }
  }
}
