/// One of many containers that are attached at once; see ``NetworkController/attach(_:)``.
public struct AttachRequest: Hashable, Sendable {
  /// The container's name.
  public var container: String
  /// The network mode.
  public var mode: NetworkMode
  /// Ports, addresses.
  public var options: AttachOptions
  /// The container's existing namespace; nil for a new one.
  public var namespace: NetworkNamespace?

  /// Makes a request; defaults as in ``NetworkController/attach(_:to:options:namespace:)``.
  public init(
    _ container: String, to mode: NetworkMode = .bridge, options: AttachOptions = AttachOptions(),
    namespace: NetworkNamespace? = nil
  ) {
    self.container = container
    self.mode = mode
    self.options = options
    self.namespace = namespace
  }
}
