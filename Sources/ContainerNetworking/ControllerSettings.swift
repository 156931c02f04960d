public import AddressPools
public import CoreMetrics
public import Logging
public import NetworkPrimitives
public import SystemPackage

/// What a controller does without being told.
public struct ControllerSettings: Sendable {
  /// Name of the default network's bridge; Docker's is `docker0`.
  public var defaultBridge: String
  /// Where networks without a subnet get one, the first that no route of the host and none of ``resolvers`` overlaps.
  public var pools: DefaultPools
  /// The name servers that the host asks; nil for those of the machine's own resolv.conf(5), read when one is needed.
  public var resolvers: [IPAddress]?
  /// Where the namespaces that `attach` makes are pinned, each under its container's name (and a number, while its
  /// former one is still in others' hands), so that they outlive the process: for those who detach from another one. Made when it
  /// is first needed, with what is missing of the way there, each for its owner alone (0700). Nil to hold them open in this
  /// process alone, and lose them with it.
  public var namespaceDirectory: FilePath?
  /// What tells one start of the machine from the next; nil for the kernel's own
  /// (`/proc/sys/kernel/random/boot_id`, random(4)). Records of another start are true for networks, not for containers.
  public var bootID: String?

  /// Who answers for the names of custom networks; nil for nobody: there is no discovery then.
  public var names: (any NameService)?
  /// Where containers' resolv.conf, hosts and hostname are made, each container's in a directory of its own; nil for
  /// nowhere. Made when it is first needed, with what is missing of the way there (0755: containers read what is in it). It is
  /// for one store alone: what is in it of containers that the store does not know is removed by a repair.
  public var filesDirectory: FilePath?
  /// What `host-gateway` stands for in an extra host; none for the addresses of the bridge that the container is on.
  public var hostGateways: [IPAddress]
  /// The files of the host that containers' own are made of.
  public var hostFiles: HostNameFiles

  /// How many sandboxes ``NetworkController/keepReady(_:on:refillsPerSecond:)`` may keep, on all networks together.
  public var readyLimit: Int
  /// Whether the kernel is watched while the controller lives, and what others take away of ours is put back at once.
  public var heals: Bool
  /// Whether each published port is held by a socket of this process while its endpoint lives, so that no other program of the
  /// host gets it: on by default, for processes that live as long as their containers. One that ends before them, or has ports
  /// by the thousand, does without: then a port is only seen to be free when it is published.
  ///
  /// It takes a file descriptor for each port and address; a port without a host address has two, one of each family. Ports
  /// that the store tells of are held from when the controller is made, those that others publish or release on the same
  /// store soon after.
  public var reservesPorts: Bool
  /// Whether the engine that containers are of holds their published ports by sockets of its own, as podman does: then a port
  /// of the host that is held and was asked for is not refused. Off by default: who holds it is another program. For
  /// controllers that hold none, see ``reservesPorts``.
  public var engineHoldsPorts: Bool
  /// Serves published ports where the kernel does not: at `::1`, and at addresses of a family that the container has not. With
  /// one, ports are held whatever ``reservesPorts`` says; without one they are not published there.
  public var forwarder: (any PortForwarding)?
  /// How many ports a bridge is given where there may be another. Half of what Linux takes: what is flooded to so many fits the
  /// queue that they share (`net.core.netdev_max_backlog`, 1,000), and reaches the trunk, which is served last.
  package var bridgePorts = 512
  /// How many of those of a network's first bridge are kept for further bridges.
  package var bridgeTrunks = 64
  /// How many ports Linux gives a bridge: `BR_MAX_PORTS` of net/bridge/br_private.h without the number 0.
  package var bridgePortLimit = 1_023
  /// Told of each verb in a line: `info` with container, network and duration where it is done, `error` with the code too where
  /// it fails. Of what is repaired without a verb, `notice`, or `warning` where it cannot be. Nil for no log.
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

/// The files that say what the host is called and whom it asks for names.
public struct HostNameFiles: Hashable, Sendable {
  /// resolv.conf(5).
  public var resolvConf: FilePath
  /// The resolv.conf(5) of a local stub, for when the host asks only that: systemd-resolved(8) keeps one.
  public var upstreamResolvConf: FilePath
  /// hosts(5); of containers in host mode.
  public var hosts: FilePath
  /// The host's name; of containers in host mode.
  public var hostname: FilePath

  /// The machine's own, unless said.
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
