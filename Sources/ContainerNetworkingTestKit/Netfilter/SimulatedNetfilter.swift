import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// nfnetlink: atomic transactions, and requests for objects.
extension SimulatedState {
  private static let batchBegin = UInt16(NFNL_MSG_BATCH_BEGIN)
  private static let batchEnd = UInt16(NFNL_MSG_BATCH_END)

  /// Answers a datagram of nfnetlink requests.
  mutating func answerNetfilter(
    _ requests: [NetlinkMessage], in namespace: UInt64, portID: UInt32
  ) -> [Mailbox.Received] {
    guard let first = requests.first, first.type == Self.batchBegin else {
      var answers: [Mailbox.Received] = []
      for request in requests where request.flags.contains(.request) {
        do {
          // Reading needs no privilege, except for connections.
          try admit(request, changes: request.type >> 8 == UInt16(NFNL_SUBSYS_CTNETLINK))
          let replies = try get(request, in: namespace)
          answers += encode(replies, to: request, portID: portID)
        } catch {
          answers.append(encode(Acknowledgement(error), to: request, portID: portID))
        }
      }
      return afterLoss(answers)
    }
    return afterLoss(transact(requests, in: namespace, portID: portID))
  }

  private mutating func transact(
    _ batch: [NetlinkMessage], in namespace: UInt64, portID: UInt32
  ) -> [Mailbox.Received] {
    var answers: [Mailbox.Received] = []
    guard privileged, var content = namespaces[namespace] else {
      return [encode(Acknowledgement(errno: .notPermitted), to: batch[0], portID: portID)]
    }
    let expected = try? NetfilterMessage(batch[0]).attributes[type: 1]?.bigEndian(UInt32.self)  // NFNL_BATCH_GENID
    if let expected, expected != content.generation {
      return [encode(Acknowledgement(errno: .restart), to: batch[0], portID: portID)]
    }
    var isWhole = false
    var isGood = true
    for request in batch.dropFirst() {
      if request.type == Self.batchEnd {
        isWhole = true
        break
      }
      do {
        try admit(request, changes: true)
        try content.apply(request)
        if request.flags.contains(.acknowledge) {
          answers.append(encode(Acknowledgement(errno: nil), to: request, portID: portID))
        }
      } catch {
        // The kernel continues, to report every fault of the batch, and then changes nothing.
        isGood = false
        answers.append(encode(Acknowledgement(error), to: request, portID: portID))
      }
    }
    if isWhole, isGood {
      content.generation += 1
      content.forgetBatchIDs()
      namespaces[namespace] = content
      notifyTransaction(in: namespace)
    }
    return answers
  }
}

/// A nfnetlink message without its header: family, and attributes.
struct NetfilterMessage {
  var family: UInt8
  var attributes: Attributes
  var flags: MessageFlags

  init(_ message: NetlinkMessage) throws(NetworkError) {
    var reader = PayloadReader(message.payload)
    family = try reader.read()
    try reader.skip(3)
    attributes = try Attributes(reader.rest)
    flags = message.flags
    if message.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES) { try attributes.check(NetfilterPolicy.of(message.type)) }
  }

  func name(_ type: Int) -> String? { attributes[type: type]?.string }

  func handle(_ type: Int) throws(NetworkError) -> UInt64? { try attributes[type: type]?.bigEndian() }

  /// The bytes of the attributes, except some types.
  func bytes(without types: Set<Int>) -> [UInt8] {
    var writer = PayloadWriter()
    for attribute in attributes where !types.contains(attribute.type) { writer.attribute(attribute) }
    return writer.bytes
  }
}

extension PayloadWriter {
  /// An attribute as it was read.
  mutating func attribute(_ attribute: Attribute) {
    self.attribute(attribute.type | (attribute.isNested ? 0x8000 : 0), bytes: attribute.payload)
  }
}

/// The number of a constant that the kernel's headers declare in a named enum.
func number(_ constant: some RawRepresentable<UInt32>) -> Int { Int(constant.rawValue) }
