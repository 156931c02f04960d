public import AddressPools
public import CoreMetrics
public import Logging
public import NetworkPrimitives
public import SystemPackage

/// The configuration of a controller.
public struct ControllerSettings: Sendable {
  /// Name of the default network's bridge; Docker's is `docker0`.
  public var defaultBridge: String
  /// The source of subnets for networks without one: the first that overlaps no route of the host and none of
  /// ``resolvers``.
  public var pools: DefaultPools
  /// The host's name servers; nil for those of the machine's own resolv.conf(5), read on demand.
  public var resolvers: [IPAddress]?
  /// The directory for pins of the namespaces that `attach` makes, so that they outlive the process and another process
  /// can detach them. A pin has its container's name, with a number added while a former namespace is still in use.
  /// Created on demand with its missing parents (0700). Nil to hold namespaces open in this process alone, and lose
  /// them with it.
  public var namespaceDirectory: FilePath?
  /// The identity of the machine's current start; nil for the kernel's own (`/proc/sys/kernel/random/boot_id`,
  /// random(4)). Records of another start are true for networks, not for containers.
  public var bootID: String?

  /// Drivers besides those of this library, by whose names networks are made. They have the controller's host as their own. A name
  /// that this library's drivers have, or that another one has, is refused when the controller is made.
  public var drivers: [any Driver] = []
  /// The name service of custom networks; nil for no discovery.
  public var names: (any NameService)?
  /// The directory for containers' resolv.conf, hosts and hostname, in a subdirectory for each; nil to make none.
  /// Created on demand with its missing parents (0755: containers read its files). It belongs to one store: a repair
  /// removes files of containers that the store does not know.
  public var filesDirectory: FilePath?
  /// The addresses for `host-gateway` in an extra host; empty for the addresses of the container's bridge.
  public var hostGateways: [IPAddress]
  /// The host's files from which containers' files are made.
  public var hostFiles: HostNameFiles

  /// The limit of ``NetworkController/keepReady(_:on:refillsPerSecond:)``, for all networks together.
  public var readyLimit: Int
  /// Whether the controller watches the kernel while it lives, and restores removed objects of ours at once.
  public var heals: Bool
  /// Whether a socket of this process reserves each published port while its endpoint lives, so that no other program
  /// of the host gets it. On by default, for processes that live as long as their containers. Switch it off for
  /// processes that end earlier, or have ports by the thousand; then a port is only tested at publication.
  ///
  /// It takes a file descriptor for each port and address; a port without a host address has two, one for each family.
  /// The controller reserves recorded ports when it is made, and soon follows those that others publish or release on
  /// the same store.
  public var reservesPorts: Bool
  /// Whether the engine that containers are of holds their published ports by sockets of its own, as podman does: then a port
  /// of the host that is held and was asked for is not refused. Off by default: who holds it is another program. For
  /// controllers that hold none, see ``reservesPorts``.
  public var engineHoldsPorts: Bool
  /// Serves published ports where the kernel does not: at `::1`, and at addresses of a family that the container has not. With
  /// one, ports are held whatever ``reservesPorts`` says; without one they are not published there.
  public var forwarder: (any PortForwarding)?
  /// The number of ports of a bridge that can have further bridges: half of Linux's limit. Frames flooded to so many
  /// fit their shared queue (`net.core.netdev_max_backlog`, 1,000), and reach the trunk, which is served last.
  package var bridgePorts = 512
  /// The number of ports of a network's first bridge that are reserved for further bridges.
  package var bridgeTrunks = 64
  /// Linux's limit of ports of a bridge: `BR_MAX_PORTS` of net/bridge/br_private.h without the number 0.
  package var bridgePortLimit = 1_023
  /// Gets a line for each verb: `info` with container, network and duration, or `error` with the code, too. A repair without
  /// a verb is a `notice`, a failed one a `warning`. Nil for no log.
  public var logger: Logger?
  /// Counts verbs and repairs, by the names that Documentation/Observing.md has; nil for the process's own
  /// (`MetricsSystem.factory`), as it is when the controller is made.
  public var metrics: (any MetricsFactory)?
  /// Told of each time that something was put back or could not be, on a thread of the controller's.
  public var onHeal: @Sendable (ReconcileReport) -> Void

  /// Makes settings; each has a default.
  public init(
    defaultBridge: String = "cn0", pools: DefaultPools = .ofThisMachine(), resolvers: [IPAddress]? = nil,
    namespaceDirectory: FilePath? = nil, bootID: String? = nil, names: (any NameService)? = nil,
    filesDirectory: FilePath? = nil, hostGateways: [IPAddress] = [], hostFiles: HostNameFiles = HostNameFiles(),
    readyLimit: Int = 1_000, heals: Bool = false, reservesPorts: Bool = true, engineHoldsPorts: Bool = false,
    forwarder: (any PortForwarding)? = nil, logger: Logger? = nil, metrics: (any MetricsFactory)? = nil,
    onHeal: @escaping @Sendable (ReconcileReport) -> Void = { _ in }
  ) {
    self.names = names
    self.filesDirectory = filesDirectory
    self.hostGateways = hostGateways
    self.hostFiles = hostFiles
    self.readyLimit = readyLimit
    self.logger = logger
    self.metrics = metrics
    self.onHeal = onHeal
    self.reservesPorts = reservesPorts
    self.engineHoldsPorts = engineHoldsPorts
    self.forwarder = forwarder
    self.heals = heals
    self.defaultBridge = defaultBridge
    self.pools = pools
    self.resolvers = resolvers
    self.namespaceDirectory = namespaceDirectory
    self.bootID = bootID
  }
}

/// The files with the host's name and its name servers.
public struct HostNameFiles: Hashable, Sendable {
  /// resolv.conf(5).
  public var resolvConf: FilePath
  /// The upstream resolv.conf(5) of a local stub, for a host that asks only that; systemd-resolved(8) keeps one.
  public var upstreamResolvConf: FilePath
  /// hosts(5); of containers in host mode.
  public var hosts: FilePath
  /// The host's name, used by containers in host mode.
  public var hostname: FilePath

  /// Defaults to the machine's own files.
  public init(
    resolvConf: FilePath = "/etc/resolv.conf", upstreamResolvConf: FilePath = "/run/systemd/resolve/resolv.conf",
    hosts: FilePath = "/etc/hosts", hostname: FilePath = "/proc/sys/kernel/hostname"
  ) {
    self.resolvConf = resolvConf
    self.upstreamResolvConf = upstreamResolvConf
    self.hosts = hosts
    self.hostname = hostname
  }
}
