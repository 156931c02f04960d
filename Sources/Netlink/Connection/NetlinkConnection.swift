public import NetworkPrimitives
import Synchronization
import SystemPackage

/// Requests and their replies over one netlink socket. Replies are matched by sequence number and port id; errors carry
/// the kernel's own report. Several threads may share a connection; their requests take turns.
///
/// Calls block the calling thread until the kernel has answered.
public final class NetlinkConnection: Sendable {
  private let socket: any NetlinkSocket
  private let sequence = Mutex<UInt32>(0)
  private let users = Atomic<Int>(0)

  /// The number of times that a dump is restarted when the table changes while it is read.
  public static let dumpAttempts = 20

  /// Whether no request is in progress, so that a new one need not wait for its turn.
  public var isIdle: Bool { users.load(ordering: .relaxed) == 0 }

  /// Waits for its turn, then has exclusive use of the connection.
  private func inTurn<Value>(
    _ body: (inout UInt32) throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    users.add(1, ordering: .relaxed)
    defer { users.subtract(1, ordering: .relaxed) }
    return try sequence.withLock { (last) throws(NetworkError) in try body(&last) }
  }

  /// A connection over a socket with no other user.
  public init(_ socket: any NetlinkSocket) { self.socket = socket }

  /// A connection to the namespace's kernel.
  public convenience init(
    _ family: NetlinkFamily, in namespace: NamespaceHandle, of kernel: some Kernel
  ) throws(NetworkError) {
    self.init(try kernel.openSocket(family, in: namespace))
  }

  /// The result of one request of a batch.
  public struct Outcome: Sendable, Hashable {
    /// The messages that answer it: the requested object, or the echoed notification.
    public var replies: [NetlinkMessage] = []
    /// The kernel's refusal; nil for success.
    public var error: NetworkError?
  }

  /// Executes one request.
  ///
  /// - Returns: The replies; empty unless the request has ``MessageFlags/echo``, or gets an object.
  /// - Throws: The kernel's refusal; `.replyLost` when its answer did not come.
  @discardableResult
  public func execute(_ request: NetlinkRequest) throws(NetworkError) -> [NetlinkMessage] {
    let outcome = try perform([request])[0]
    if let error = outcome.error { throw error }
    return outcome.replies
  }

  /// Sends a change and returns as soon as the kernel reports it (``MessageFlags/echo``), not when the system call
  /// returns. The kernel completes the rest in any case, even if this process ends. A deleted link, for example, is
  /// closed, in no bridge, and found by no name or index when it is reported. The system call returns only when its
  /// last reader is gone (`netdev_run_todo` in net/core/dev.c), 10 to 30 ms later.
  ///
  /// Waits for the system call on kernels that do not report the change (before 6.2, of links).
  ///
  /// - Parameters:
  ///   - request: The change.
  ///   - whenDone: Called when the kernel has completed the change, on any thread.
  /// - Throws: As ``execute(_:)``.
  public func begin(
    _ request: NetlinkRequest, whenDone: @escaping @Sendable () -> Void = {}
  ) throws(NetworkError) {
    try inTurn { (last) throws(NetworkError) in
      last &+= 1
      var datagram = PayloadWriter()
      try encode(
        request, flags: request.flags.union([.request, .acknowledge, .echo]), sequence: last, portID: socket.portID,
        into: &datagram)
      let sending = Sending()
      socket.sendAside(datagram.bytes) { failure in
        sending.end(failure)
        whenDone()
      }
      while true {
        let received: [NetlinkMessage]
        do throws(NetworkError) { received = try receive() } catch {
          // The limit covers a lost answer, not a kernel that has not processed the request yet.
          if let failure = sending.failure { throw failure }
          if error.kernel?.errno == .timedOut, !sending.hasEnded { continue }
          throw error
        }
        for message in received where message.sequence == last {
          guard message.type == ControlMessage.error else { return }
          if let error = refusal(try Acknowledgement(error: message), of: request) { throw error }
          return
        }
      }
    }
  }

  /// The state of a send on another thread.
  private final class Sending: Sendable {
    private let end = Mutex<NetworkError??>(nil)
    func end(_ failure: NetworkError?) { end.withLock { $0 = .some(failure) } }
    var hasEnded: Bool { end.withLock { $0 != nil } }
    var failure: NetworkError? { end.withLock { $0 ?? nil } }
  }

  /// Executes several changes, in order, in one send where they fit. The kernel continues after a change that it
  /// refuses.
  ///
  /// - Returns: One outcome for each request.
  /// - Throws: `.replyLost` when answers were lost; it is then unknown which changes were made.
  public func perform(_ requests: [NetlinkRequest]) throws(NetworkError) -> [Outcome] {
    var outcomes = [Outcome](repeating: Outcome(), count: requests.count)
    try perform(requests) { index, reply in
      outcomes[index].replies.append(reply)
    } onRefusal: { index, error in
      outcomes[index].error = error
    }
    return outcomes
  }

  /// As ``perform(_:)``, for callers that need only a few of the answers.
  ///
  /// - Parameters:
  ///   - requests: The changes.
  ///   - onReply: Receives each reply, with the number of the request that it answers.
  ///   - onRefusal: Receives each refusal, with the number of the request.
  package func perform(
    _ requests: [NetlinkRequest], onReply: (Int, NetlinkMessage) -> Void, onRefusal: (Int, NetworkError) -> Void
  ) throws(NetworkError) {
    try inTurn { (last) throws(NetworkError) in
      var rest = requests[...]
      while !rest.isEmpty {
        let batch = rest.prefix(Self.count(ofFirst: rest))
        try exchange(batch, last: &last, onReply, onRefusal)
        rest = rest.dropFirst(batch.count)
      }
    }
  }

  /// Gets a whole table.
  ///
  /// - Throws: `.interrupted` when it changed on every one of ``dumpAttempts`` tries.
  public func dump(_ request: NetlinkRequest) throws(NetworkError) -> [NetlinkMessage] {
    try inTurn { (last) throws(NetworkError) in
      for _ in 0..<Self.dumpAttempts {
        if let messages = try readDump(request, last: &last) { return messages }
      }
      throw NetworkError(
        .interrupted, operation: request.purpose,
        reason: "the table changed during each of \(Self.dumpAttempts) readings; try again when the host is calmer")
    }
  }

  /// Makes several nfnetlink changes as one transaction: all or none.
  ///
  /// - Parameters:
  ///   - begin: `NFNL_MSG_BATCH_BEGIN`.
  ///   - requests: The changes, in order.
  ///   - end: `NFNL_MSG_BATCH_END`.
  /// - Throws: The refusal of the first request that failed, by its name and purpose; then nothing was changed.
  ///   `.replyLost` when the answer did not come: the transaction may have been made.
  public func transact(
    begin: NetlinkRequest, _ requests: [NetlinkRequest], end: NetlinkRequest
  ) throws(NetworkError) {
    guard !requests.isEmpty else { return }
    try inTurn { (last) throws(NetworkError) in
      let batch = [begin] + requests + [end]
      let first = last &+ 1
      let portID = socket.portID
      let size = batch.reduce(0) { $0 + $1.body.count + NetlinkMessage.headerSize + 3 }
      var datagram = PayloadWriter(capacity: size)
      for (index, request) in batch.enumerated() {
        last &+= 1
        // Errors are reported unrequested. One acknowledgement, of the last change, confirms all; one for each would
        // overflow the receive buffer.
        var flags = request.flags.union(.request)
        if index == requests.count { flags.insert(.acknowledge) }
        try encode(request, flags: flags, sequence: last, portID: portID, into: &datagram)
      }
      try socket.send(datagram.bytes)
      var isAnswered = false
      while !isAnswered {
        try receive { (message) throws(NetworkError) in
          let index = Int(message.sequence &- first)
          guard !isAnswered, message.type == ControlMessage.error, index < batch.count else { return }
          if let error = refusal(try Acknowledgement(error: message), of: batch[index]) { throw error }
          isAnswered = true
        }
      }
    }
  }

  // MARK: - One exchange

  /// The number of requests whose answers fit the kernel's smallest receive buffer, 208 KiB.
  private static func count(ofFirst requests: ArraySlice<NetlinkRequest>) -> Int {
    var bytes = 0
    let fitting = requests.prefix(128).prefix { request in
      bytes += request.body.count + NetlinkMessage.headerSize
      return bytes <= 64 << 10
    }
    return max(1, fitting.count)
  }

  /// - Parameter requests: A slice of a list; answers are reported by index in the list.
  private func exchange(
    _ requests: ArraySlice<NetlinkRequest>, last: inout UInt32, _ onReply: (Int, NetlinkMessage) -> Void,
    _ onRefusal: (Int, NetworkError) -> Void
  ) throws(NetworkError) {
    let first = last &+ 1
    let portID = socket.portID
    let size = requests.reduce(0) { $0 + $1.body.count + NetlinkMessage.headerSize + 3 }
    var datagram = PayloadWriter(capacity: size)
    for index in requests.indices {
      last &+= 1
      // Errors are reported unrequested, in the order of the requests. The acknowledgement of the last request
      // therefore confirms all earlier ones without an error.
      var flags = requests[index].flags.union(.request)
      if index == requests.endIndex - 1 { flags.insert(.acknowledge) }
      try encode(requests[index], flags: flags, sequence: last, portID: portID, into: &datagram)
    }
    try socket.send(datagram.bytes)

    let final = last
    var isAnswered = false
    while !isAnswered {
      try receive { (message) throws(NetworkError) in
        let number = Int(message.sequence &- first)
        guard !isAnswered, number < requests.count else { return }
        let index = requests.startIndex + number
        guard message.type == ControlMessage.error else { return onReply(index, message) }
        if let error = refusal(try Acknowledgement(error: message), of: requests[index]) { onRefusal(index, error) }
        isAnswered = message.sequence == final
      }
    }
  }

  /// The table, or nil when it changed meanwhile or parts were lost.
  private func readDump(_ request: NetlinkRequest, last: inout UInt32) throws(NetworkError) -> [NetlinkMessage]? {
    last &+= 1
    var datagram = PayloadWriter()
    try encode(
      request, flags: request.flags.union([.request, .dump]), sequence: last, portID: socket.portID, into: &datagram)
    try socket.send(datagram.bytes)

    var messages: [NetlinkMessage] = []
    var isWhole = true
    while true {
      let received: [NetlinkMessage]
      do { received = try receive() } catch {
        // Parts were dropped: the next try's sequence number separates its replies from the rest of these.
        guard error.kernel?.errno == .noBufferSpace else { throw error }
        return nil
      }
      for message in received where message.sequence == last {
        if message.flags.contains(.dumpInterrupted) { isWhole = false }
        switch message.type {
        case ControlMessage.done:
          if let error = refusal(try Acknowledgement(done: message), of: request) {
            if error.kernel?.errno == .interrupted { return nil }
            throw error
          }
          return isWhole ? messages : nil
        case ControlMessage.error:
          if let error = refusal(try Acknowledgement(error: message), of: request) { throw error }
        case ControlMessage.noop: continue
        default: messages.append(message)
        }
      }
    }
  }

  private func encode(
    _ request: NetlinkRequest, flags: MessageFlags, sequence: UInt32, portID: UInt32, into datagram: inout PayloadWriter
  ) throws(NetworkError) {
    if request.isTooLong {
      throw NetworkError(
        .invalidValue, operation: String(request.purpose.prefix(200)),
        reason: "a name, or a list, of it has more than the \(PayloadWriter.attributeLimit) bytes that one netlink "
          + "attribute holds; make it shorter, or several of it")
    }
    NetlinkMessage(
      type: request.type, flags: flags, sequence: sequence, portID: portID, payload: request.body[...]
    ).encode(into: &datagram)
  }

  /// The messages for this socket in the next datagram.
  private func receive() throws(NetworkError) -> [NetlinkMessage] {
    var messages: [NetlinkMessage] = []
    try receive { messages.append($0) }
    return messages
  }

  /// As above, one by one.
  private func receive(_ body: (NetlinkMessage) throws(NetworkError) -> Void) throws(NetworkError) {
    let portID = socket.portID
    try NetlinkMessage.forEach(in: try socket.receive()[...]) { (message) throws(NetworkError) in
      if message.portID == portID { try body(message) }
    }
  }

  private func refusal(_ answer: Acknowledgement, of request: NetlinkRequest) -> NetworkError? {
    guard let errno = answer.errno else { return nil }
    let report = KernelReport(
      errno: errno, request: request.name, message: answer.message, offset: answer.offset,
      missingAttribute: answer.missingAttribute)
    // netlink reports a missing privilege as EPERM. EACCES means a link without IPv6 (net/ipv6/addrconf.c, route.c).
    let code: NetworkError.Code = errno == .permissionDenied ? .kernelRefused : NetworkError.Code(errno)
    return NetworkError(code, operation: request.purpose, reason: Remedy.text(for: report), kernel: report)
  }
}
