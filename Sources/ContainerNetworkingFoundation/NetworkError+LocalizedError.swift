@_exported public import ContainerNetworking
public import FoundationEssentials

/// Makes Foundation's `localizedDescription` return the error's own sentence, in place of "The operation could not be
/// completed".
///
/// It is a product of its own, because FoundationEssentials adds 12 MB to a statically linked program, and 1.7 ms to
/// the start of a dynamically linked one. The library itself does not use it. Linking is enough: import it in one file.
extension NetworkError: LocalizedError {
  /// The operation, the value, the rule and a right value; the causes below it.
  public var errorDescription: String? { description }

  /// The reason without the operation, or else the kernel's report; nil without either.
  public var failureReason: String? { reason.isEmpty ? kernel?.description : reason }
}
