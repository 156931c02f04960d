import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// One reply message without its header.
struct SimulatedReply {
  var type: UInt16
  var payload: [UInt8]
}

/// An error in the kernel's form, with its sentence if it has one.
func refusal(_ errno: Errno, _ message: String? = nil, missing: Int? = nil) -> NetworkError {
  NetworkError(
    NetworkError.Code(errno), operation: "answer netlink request",
    kernel: KernelReport(errno: errno, request: "", message: message, missingAttribute: missing))
}

extension Acknowledgement {
  /// The acknowledgement of a failed request; unreadable bytes are an invalid argument, as in the kernel.
  init(_ error: NetworkError) {
    self.init(
      errno: error.kernel?.errno ?? .invalidArgument, message: error.kernel?.message,
      missingAttribute: error.kernel?.missingAttribute)
  }
}

extension SimulatedState {
  /// Answers a datagram of rtnetlink requests, one after the other.
  mutating func answerRoute(
    _ requests: [NetlinkMessage], in namespace: UInt64, portID: UInt32
  ) -> [Mailbox.Received] {
    var answers: [Mailbox.Received] = []
    for request in requests where request.flags.contains(.request) {
      let before = self
      do {
        try admit(request, changes: request.type & 3 != 2)
        let replies = try route(request, in: namespace)
        answers += encode(replies, to: request, portID: portID)
      } catch {
        undo(to: before)
        answers.append(encode(Acknowledgement(error), to: request, portID: portID))
      }
    }
    return afterLoss(answers)
  }

  /// Counts a request, and refuses it for an injected fault or a missing privilege.
  mutating func admit(_ request: NetlinkMessage, changes: Bool) throws(NetworkError) {
    if let errno = faults.next(message: request.type) { throw refusal(errno) }
    if changes, !privileged { throw refusal(.notPermitted) }
  }

  /// Restores the former state, except faults that have happened.
  mutating func undo(to before: SimulatedState) {
    let faults = faults
    self = before
    self.faults = faults
  }

  mutating func afterLoss(_ answers: [Mailbox.Received]) -> [Mailbox.Received] {
    if let count = faults.answersBeforeLoss {
      faults.answersBeforeLoss = count > 0 ? count - 1 : nil
      return count > 0 ? answers : []
    }
    guard faults.lostAnswers > 0 else { return answers }
    faults.lostAnswers -= 1
    return []
  }

  private mutating func route(
    _ request: NetlinkMessage, in namespace: UInt64
  ) throws(NetworkError) -> [SimulatedReply] {
    switch request.type {
    case UInt16(RTM_NEWLINK), UInt16(RTM_SETLINK): return try newLink(request, in: namespace)
    case UInt16(RTM_DELLINK): return try deleteLink(request, in: namespace)
    case UInt16(RTM_GETLINK): return try getLinks(request, in: namespace)
    case UInt16(RTM_NEWADDR): return try newAddress(request, in: namespace)
    case UInt16(RTM_DELADDR): return try deleteAddress(request, in: namespace)
    case UInt16(RTM_GETADDR): return try getAddresses(request, in: namespace)
    case UInt16(RTM_NEWROUTE): return try newRoute(request, in: namespace)
    case UInt16(RTM_DELROUTE): return try deleteRoute(request, in: namespace)
    case UInt16(RTM_GETROUTE): return try getRoutes(request, in: namespace)
    case UInt16(RTM_NEWNEIGH): return try newNeighbor(request, in: namespace)
    case UInt16(RTM_DELNEIGH): return try deleteNeighbor(request, in: namespace)
    case UInt16(RTM_GETNEIGH): return try getNeighbors(request, in: namespace)
    default: throw refusal(.notSupportedOnSocket)
    }
  }

  // MARK: - Encoding

  mutating func encode(
    _ replies: [SimulatedReply], to request: NetlinkMessage, portID: UInt32, dumps: Bool = true
  ) -> [Mailbox.Received] {
    guard dumps, request.flags.contains(.dump), Self.isGet(request.type) else {
      var answers = replies.map { reply in
        Self.datagram([
          NetlinkMessage(
            type: reply.type, sequence: request.sequence, portID: portID, payload: reply.payload[...])
        ])
      }
      if request.flags.contains(.acknowledge) {
        answers.append(encode(Acknowledgement(errno: nil), to: request, portID: portID))
      }
      return answers
    }
    var flags: MessageFlags = .multipart
    if faults.interruptedDumps > 0 {
      faults.interruptedDumps -= 1
      flags.insert(.dumpInterrupted)
    }
    var messages = replies.map { reply in
      NetlinkMessage(
        type: reply.type, flags: flags, sequence: request.sequence, portID: portID, payload: reply.payload[...])
    }
    messages.append(
      NetlinkMessage(
        type: ControlMessage.done, flags: flags, sequence: request.sequence, portID: portID, payload: [0, 0, 0, 0]))
    var answers: [Mailbox.Received] = []
    while !messages.isEmpty {
      answers.append(Self.datagram(Array(messages.prefix(16))))
      messages.removeFirst(min(16, messages.count))
    }
    if faults.truncatedDumps > 0 {
      faults.truncatedDumps -= 1
      return answers.dropLast() + [.overrun]
    }
    return answers
  }

  func encode(
    _ acknowledgement: Acknowledgement, to request: NetlinkMessage, portID: UInt32
  ) -> Mailbox.Received {
    Self.datagram([acknowledgement.encode(for: request, portID: portID)])
  }

  private static func isGet(_ type: UInt16) -> Bool { type >= 256 || type & 3 == 2 }

  private static func datagram(_ messages: [NetlinkMessage]) -> Mailbox.Received {
    .datagram(bytes(messages))
  }

  private static func bytes(_ messages: [NetlinkMessage]) -> [UInt8] {
    var writer = PayloadWriter()
    for message in messages { message.encode(into: &writer) }
    return writer.bytes
  }

  /// Queues a notification for the listeners of a group.
  mutating func notify(
    _ reply: SimulatedReply, group: Int, in namespace: UInt64, family: NetlinkFamily = .route
  ) {
    let datagram = Self.bytes([NetlinkMessage(type: reply.type, payload: reply.payload[...])])
    events.append(Event(family: family, namespace: namespace, group: Int32(group), datagram: datagram))
  }
}
