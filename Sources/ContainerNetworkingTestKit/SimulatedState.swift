import Netlink
import NetworkPrimitives
import SystemPackage

/// The state of the simulated kernel. It is a value: undoing a failed change restores the old value.
struct SimulatedState {
  static let initialNamespace: UInt64 = 4_026_531_840

  let privileged: Bool
  var namespaces: [UInt64: SimulatedNamespace] = [Self.initialNamespace: SimulatedNamespace()]
  var pins: [String: UInt64] = [:]
  /// Notifications of changes that may still be undone.
  var events: [Event] = []
  var faults = Faults()
  /// The counter of MAC addresses: deterministic, like the snapshots.
  var madeAddresses: UInt32 = 0
  private var listeners: [Listener] = []
  private var descriptors: [Int32: UInt64] = [:]
  private var sockets: [UInt64: Int] = [:]
  private var nextDescriptor: Int32 = 1_000_000
  private var nextInode: UInt64 = 4_026_532_000
  private var nextPort: UInt32 = 1

  /// A notification that waits for delivery.
  struct Event {
    var family: NetlinkFamily
    var namespace: UInt64
    var group: Int32
    var datagram: [UInt8]
  }

  /// A socket's membership of a group. It refers to the mailbox, not to the socket: the last reference to a socket
  /// could be released here, while the state is locked.
  private struct Listener {
    var mailbox: Mailbox
    var family: NetlinkFamily
    var namespace: UInt64
    var group: Int32
  }

  init(privileged: Bool) { self.privileged = privileged }

  mutating func makeNamespace() -> UInt64 {
    nextInode += 1
    namespaces[nextInode] = SimulatedNamespace()
    return nextInode
  }

  mutating func addDescriptor(of inode: UInt64) -> Int32 {
    nextDescriptor += 1
    descriptors[nextDescriptor] = inode
    return nextDescriptor
  }

  mutating func closeDescriptor(_ descriptor: Int32) {
    guard let inode = descriptors.removeValue(forKey: descriptor) else { return }
    collect(inode)
    deliver()
  }

  mutating func addSocket(in inode: UInt64) -> UInt32 {
    sockets[inode, default: 0] += 1
    nextPort += 1
    return nextPort
  }

  mutating func closeSocket(in inode: UInt64, _ mailbox: Mailbox) {
    listeners.removeAll { $0.mailbox === mailbox }
    sockets[inode, default: 1] -= 1
    collect(inode)
    deliver()
  }

  /// The mailboxes of the listeners, each once.
  var listening: [Mailbox] {
    Array(Dictionary(listeners.map { (ObjectIdentifier($0.mailbox), $0.mailbox) }, uniquingKeysWith: { $1 }).values)
  }

  mutating func listen(_ mailbox: Mailbox, _ family: NetlinkFamily, in namespace: UInt64, group: Int32) {
    listeners.append(Listener(mailbox: mailbox, family: family, namespace: namespace, group: group))
  }

  /// Delivers the events of a change to the sockets of their groups.
  mutating func deliver() {
    guard !events.isEmpty else { return }
    let isLost = faults.losesEvents()
    for event in events {
      for listener in listeners
      where listener.family == event.family && listener.namespace == event.namespace && listener.group == event.group {
        isLost ? listener.mailbox.overrun() : listener.mailbox.put(event: event.datagram)
      }
    }
    events = []
  }

  func namespace(ofDescriptor descriptor: Int32) -> UInt64? { descriptors[descriptor] }

  /// Deletes an unreferenced namespace with its links and their other ends.
  mutating func collect(_ inode: UInt64) {
    guard inode != Self.initialNamespace, sockets[inode, default: 0] == 0, !pins.values.contains(inode),
      !descriptors.values.contains(inode), let namespace = namespaces[inode]
    else { return }
    for index in namespace.links.keys.sorted() where namespace.links[index]?.kind != nil {
      removeLink(index, in: inode)
    }
    for vxlan in vxlans(from: inode) { removeLink(vxlan.index, in: vxlan.namespace) }
    namespaces[inode] = nil
  }

  /// Counts a changing system call, and refuses it for an injected fault or a missing privilege.
  mutating func countCall(_ name: String, operation: String) throws(NetworkError) {
    if let errno = faults.next(name: name) { throw systemError(errno, name, operation) }
    if !privileged { throw systemError(.notPermitted, name, operation) }
  }
}

/// One network namespace.
struct SimulatedNamespace {
  var links: [Int32: SimulatedLink] = [1: .loopback]
  var routes: [SimulatedRoute] = []
  /// Connected routes that a request has deleted.
  var removedRoutes: Set<SimulatedRoute> = []
  var neighbors: [SimulatedNeighbor] = []
  var tables: [SimulatedTable] = []
  var generation: UInt32 = 1
  /// The changes of the running transaction, for the listeners.
  var changes: [SimulatedReply] = []
  var nextHandle: UInt64 = 1
  var sysctls: [String: String] = [:]
  /// The bindings of fictitious programs' sockets.
  var heldPorts: Set<PortBinding> = []
  private var lastIndex: Int32 = 1
  private var identifiers: [UInt64: Int32] = [:]

  /// The next free interface index, or `wanted`.
  mutating func makeIndex(_ wanted: Int32 = 0) -> Int32 {
    if wanted > 0, links[wanted] == nil { return wanted }
    repeat { lastIndex += 1 } while links[lastIndex] != nil
    return lastIndex
  }

  /// This namespace's id for another one (`IFLA_LINK_NETNSID`).
  mutating func identifier(of inode: UInt64) -> Int32 {
    if let known = identifiers[inode] { return known }
    let made = Int32(identifiers.count)
    identifiers[inode] = made
    return made
  }

  func link(named name: String) -> SimulatedLink? { links.values.first { $0.name == name } }

  func isRunning(_ index: Int32) -> Bool { links[index]?.isUp ?? false }
}
