/// What a container gets: its namespace, its endpoints, and what could not be done.
public struct Sandbox: Sendable {
  /// The container's name.
  public let container: String
  /// How it is on the network.
  public let mode: NetworkMode
  /// Its namespace; ``NetworkNamespace/path`` is what an OCI runtime takes.
  public let namespace: NetworkNamespace
  /// Its endpoints, in the order of their interfaces; in container mode the donor's.
  public let endpoints: [Endpoint]
  /// What was asked for and not done.
  public let warnings: [AttachWarning]

  init(_ record: SandboxRecord, _ endpoints: [Endpoint], _ namespace: NetworkNamespace) {
    container = record.container
    mode = record.mode
    self.namespace = namespace
    self.endpoints = endpoints
    warnings = record.warnings
  }
}
