import Netlink
import NetworkPrimitives

/// One packet's traversal of one base chain: its decisions, and the incoming packet.
struct TraceVisit {
  var table: NftTable
  var chain: String
  /// The hook of the chain; nil for a chain that is gone since.
  var hook: NftChain.Hook?
  var incomingLink: Int32?
  var outgoingLink: Int32?
  var packet: TracedPacket
  var mark: UInt32?
  var steps: [NftTrace]

  var isDropped: Bool { steps.last?.decision == .verdict(.drop) }

  /// Groups steps into visits: the headers come with the first step of each.
  static func list(_ steps: [NftTrace], hook: (NftTable, String) -> NftChain.Hook?) -> [TraceVisit] {
    var visits: [TraceVisit] = []
    // Packets on several processors may interleave.
    var open: [UInt32: Int] = [:]
    for step in steps {
      if let packet = step.packet {
        open[step.packetID] = visits.count
        visits.append(
          TraceVisit(
            table: step.table, chain: step.chain, hook: hook(step.table, step.chain), incomingLink: step.incomingLink,
            outgoingLink: step.outgoingLink, packet: packet, mark: step.mark, steps: [step]))
      } else if let index = open[step.packetID], visits[index].table == step.table {
        visits[index].steps.append(step)
      }
    }
    return visits
  }
}

/// The visits of the traced packet and of its first answer, selected from all visits.
struct TracedFlow {
  private(set) var there: [TraceVisit] = []
  private(set) var back: [TraceVisit] = []
  /// The visits of the neighbour solicitation for its receiver.
  private(set) var question: [TraceVisit] = []

  private struct End: Hashable {
    var address: IPAddress?
    var port: UInt16?
  }

  private struct Passage: Hashable {
    var table: NftTable
    var chain: String
    var incoming: Int32?
    var outgoing: Int32?

    init(_ visit: TraceVisit) {
      (table, chain) = (visit.table, visit.chain)
      (incoming, outgoing) = (visit.incomingLink, visit.outgoingLink)
    }
  }

  /// - Parameters:
  ///   - visits: In the order in which they happened.
  ///   - begins: Whether a packet is one to trace.
  init(_ visits: [TraceVisit], begins: (TracedPacket) -> Bool) {
    let asking = visits.filter(\.packet.asksForNeighbor)
    var asked: Set<Passage> = []
    for visit in asking where asked.insert(Passage(visit)).inserted { question.append(visit) }
    let visits = visits.drop { !begins($0.packet) }
    guard let first = visits.first else { return }
    // The sender, by every address under which it was seen, and the receiver.
    var senders: Set<End> = [Self.source(first.packet)]
    var receivers: Set<End> = [Self.destination(first.packet)]
    var answer: [UInt8]?
    var seen: [Bool: Set<Passage>] = [:]
    for visit in visits where visit.packet.transport == first.packet.transport {
      let (source, destination) = (Self.source(visit.packet), Self.destination(visit.packet))
      let isAnswer: Bool
      switch visit.packet.icmpType {
      case 8, 128: isAnswer = false
      case 0, 129: isAnswer = true
      default:
        if senders.contains(source) || receivers.contains(destination) {
          isAnswer = false
        } else if receivers.contains(source) || senders.contains(destination) {
          isAnswer = true
        } else {
          continue
        }
      }
      // A second traversal of the same chain is a retransmission.
      guard seen[isAnswer, default: []].insert(Passage(visit)).inserted else { continue }
      if isAnswer {
        if answer == nil { answer = visit.packet.signature }
        if visit.packet.signature == answer { back.append(visit) }
      } else if visit.packet.signature == first.packet.signature {
        senders.insert(source)
        receivers.insert(destination)
        there.append(visit)
      }
    }
  }

  private static func source(_ packet: TracedPacket) -> End { End(address: packet.source, port: packet.sourcePort) }
  private static func destination(_ packet: TracedPacket) -> End {
    End(address: packet.destination, port: packet.destinationPort)
  }
}

extension PacketTrace.Flow {
  /// The sender and receiver of a packet; nil without addresses.
  init?(_ packet: TracedPacket) {
    guard let source = packet.source, let destination = packet.destination, let transport = packet.transport else {
      return nil
    }
    self.init(
      transport: Self.name(transport), source: source, sourcePort: packet.sourcePort, destination: destination,
      destinationPort: [1, 58].contains(transport) ? nil : packet.destinationPort)
  }

  static func name(_ transport: UInt8) -> String {
    switch transport {
    case 1: "icmp"
    case 58: "icmpv6"
    default: TransportProtocol(number: transport)?.rawValue ?? "protocol \(transport)"
    }
  }
}
