@_exported public import ContainerNetworking
public import FoundationEssentials

/// Has Foundation's `localizedDescription` say the error's own sentence, in place of "The operation could not be completed".
///
/// A product of its own: FoundationEssentials adds 12 MB to a program that is linked statically, and 1.7 ms to the start of one
/// that is not, and the library itself has no use for it. It is enough to link it: import it in one file.
extension NetworkError: LocalizedError {
  /// What was being done, the value, the rule and what would be right; its causes beneath it.
  public var errorDescription: String? { description }

  /// Why, without what was being done; nil where the kernel's report says it all.
  public var failureReason: String? { reason.isEmpty ? kernel?.description : reason }
}
