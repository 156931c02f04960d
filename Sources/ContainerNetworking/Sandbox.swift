public import Netlink
public import NetworkPrimitives
import SystemPackage

/// A container's namespace and endpoints, and warnings about options that were not applied.
public struct Sandbox: Hashable, Sendable {
  /// The container's name.
  public let container: String
  /// Id of its namespace, the same for all containers in it: 64 hexadecimal digits, or `host`.
  public let id: String
  /// The network mode.
  public let mode: NetworkMode
  /// Its namespace; an OCI runtime takes ``NetworkNamespace/path``.
  public let namespace: NetworkNamespace
  /// Its endpoints, in the order of their interfaces; in container mode the donor's.
  public let endpoints: [Endpoint]
  /// Its resolv.conf, hosts and hostname; nil when the controller makes none
  /// (``ControllerSettings/filesDirectory``).
  public let files: SandboxFiles?
  /// The host name that its UTS namespace should have (uts_namespaces(7)); nil for the host's own.
  public let hostname: String?
  /// The NIS domain name of that namespace, which is the domain of its host name; nil for none.
  public let domainname: String?
  /// The options that were not applied.
  public let warnings: [AttachWarning]

  init(
    container: String, id: String, mode: NetworkMode, namespace: NetworkNamespace, endpoints: [Endpoint],
    files: SandboxFiles?, hostname: String?, domainname: String?, warnings: [AttachWarning]
  ) {
    self.container = container
    self.id = id
    self.mode = mode
    self.namespace = namespace
    self.endpoints = endpoints
    self.files = files
    self.hostname = hostname
    self.domainname = domainname
    self.warnings = warnings
  }

  init(_ record: SandboxRecord, _ endpoints: [Endpoint], _ namespace: NetworkNamespace) {
    container = record.container
    id = record.sandboxID
    mode = record.mode
    self.namespace = namespace
    self.endpoints = endpoints
    files = record.filesDirectory.map { SandboxFiles(directory: FilePath($0)) }
    hostname = record.hostname
    domainname = record.names?.domainname
    warnings = record.warnings
  }

  /// Starts a program in the container's namespace that sees the container's files, links (`/sys/class/net`) and host name,
  /// unless the command has others, or a `Command.companion`.
  ///
  /// - Throws: `.notFound` for a missing program; `.permissionDenied` without `CAP_SYS_ADMIN`.
  public func spawn(_ command: Command) throws(NetworkError) -> ChildProcess {
    var command = command
    guard command.companion == nil else { return try namespace.spawn(command) }
    if command.bindings.isEmpty, let files {
      command.bindings = files.bindings
      command.seesOwnSysfs = true
    }
    if files != nil, command.hostname == nil, command.domainname == nil {
      command.hostname = hostname
      command.domainname = domainname
    }
    return try namespace.spawn(command)
  }
}
