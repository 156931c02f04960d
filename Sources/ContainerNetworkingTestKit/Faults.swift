import Synchronization
public import SystemPackage

/// The injected faults.
struct Faults {
  var requests = 0
  var failing: (request: Int, errno: Errno)?
  var interruptedDumps = 0
  var truncatedDumps = 0
  var lostAnswers = 0
  var answersBeforeLoss: Int?
  var lostEvents = 0
  private var rules: [Rule] = []

  private struct Rule {
    var errno: Errno
    var message: UInt16?
    var name: String?
    var times: Int
  }

  mutating func add(_ errno: Errno, message: UInt16? = nil, name: String? = nil, times: Int) {
    guard times > 0 else { return }
    rules.append(Rule(errno: errno, message: message, name: name, times: times))
  }

  mutating func clear() {
    let count = requests
    self = Faults()
    requests = count
  }

  /// Whether the events of a change get lost.
  mutating func losesEvents() -> Bool {
    guard lostEvents > 0 else { return false }
    lostEvents -= 1
    return true
  }

  /// Counts a request, and returns its injected errno, if any.
  mutating func next(message: UInt16? = nil, name: String? = nil) -> Errno? {
    requests += 1
    if let failing, failing.request == requests {
      self.failing = nil
      return failing.errno
    }
    let index = rules.firstIndex { $0.message != nil ? $0.message == message : $0.name == name }
    guard let index else { return nil }
    let errno = rules[index].errno
    rules[index].times -= 1
    if rules[index].times == 0 { rules.remove(at: index) }
    return errno
  }
}

extension SimulatedKernel {
  /// The number of requests so far: netlink messages, calls that change namespaces or sysctls, and tests of held ports.
  public var requestCount: Int { state.withLock { $0.faults.requests } }

  /// Refuses the next `times` netlink messages of a type, one of ``RequestType`` or any other of the kernel's.
  public func inject(_ errno: Errno, on message: UInt16, times: Int = 1) {
    state.withLock { $0.faults.add(errno, message: message, times: times) }
  }

  /// Refuses the next `times` calls of `unshare` (a new namespace), `mount` (a pin), `umount`, `sysctl` (a write) or
  /// `bind` (a test of held ports).
  public func inject(_ errno: Errno, onCall call: String, times: Int = 1) {
    state.withLock { $0.faults.add(errno, name: call, times: times) }
  }

  /// Refuses one request, by default with `EIO`: the `number`th from now, 1 being the next. For failing each in turn.
  public func failRequest(number: Int, with errno: Errno = .ioError) {
    state.withLock { $0.faults.failing = ($0.faults.requests + number, errno) }
  }

  /// Whether the request of ``failRequest(number:with:)``, or the answer of ``loseAnswer(number:)``, is still to come.
  public var isFaultPending: Bool {
    state.withLock { $0.faults.failing != nil || $0.faults.answersBeforeLoss != nil }
  }

  /// Marks the next `times` dumps as changed while they were read (`NLM_F_DUMP_INTR`).
  public func interruptDumps(times: Int = 1) { state.withLock { $0.faults.interruptedDumps = times } }

  /// Drops the rest of the next `times` dumps: the reader gets `ENOBUFS`.
  public func truncateDumps(times: Int = 1) { state.withLock { $0.faults.truncatedDumps = times } }

  /// Makes the changes of the next `times` datagrams but loses every answer, so that the sender waits in vain.
  public func loseAnswers(times: Int = 1) { state.withLock { $0.faults.lostAnswers = times } }

  /// Makes the change of one datagram but loses its answer: of the `number`th from now, 1 being the next.
  public func loseAnswer(number: Int) { state.withLock { $0.faults.answersBeforeLoss = number - 1 } }

  /// Drops the events of the next `times` changes: each listener gets `ENOBUFS`.
  public func loseEvents(times: Int = 1) { state.withLock { $0.faults.lostEvents = times } }

  /// Ends the current listeners' events: their next read fails with `errno`.
  public func endEvents(with errno: Errno = .ioError) {
    state.withLock { state in for mailbox in state.listening { mailbox.put(.failure(errno)) } }
  }

  /// Removes every fault that has not happened yet.
  public func clearFaults() { state.withLock { $0.faults.clear() } }
}
