public import AddressPools
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
  /// former one is still in others' hands), so that they outlive the process: for those who detach from another one. Nil to hold them open in this process alone, and lose them with it.
  public var namespaceDirectory: FilePath?
  /// What tells one start of the machine from the next; nil for the kernel's own
  /// (`/proc/sys/kernel/random/boot_id`, random(4)). Records of another start are true for networks, not for containers.
  public var bootID: String?

  /// Who answers for the names of custom networks; nil for nobody: there is no discovery then.
  public var names: (any NameService)?

  /// Whether the kernel is watched while the controller lives, and what others take away of ours is put back at once.
  public var heals: Bool
  /// Told of each time that something was put back or could not be, on a thread of the controller's.
  public var onHeal: @Sendable (ReconcileReport) -> Void = { _ in }

  /// Makes settings.
  public init(
    defaultBridge: String = "cn0", pools: DefaultPools = .ofThisMachine(), resolvers: [IPAddress]? = nil,
    namespaceDirectory: FilePath? = nil, bootID: String? = nil, heals: Bool = false
  ) {
    self.heals = heals
    self.defaultBridge = defaultBridge
    self.pools = pools
    self.resolvers = resolvers
    self.namespaceDirectory = namespaceDirectory
    self.bootID = bootID
  }
}
