import Dispatch
import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

extension Engine {
  /// Traces one packet.
  ///
  /// - Parameter stop: Ends the trace when set, as if its time were over.
  func trace(_ request: TraceRequest, until stop: TraceStop) throws(NetworkError) -> PacketTrace {
    try TraceRequest.check(request.timeout, "trace a packet")
    let plan = try plan(request)
    switch plan.sender {
    case .container(let name, let namespace): return try send(request, plan, from: name, in: namespace, until: stop)
    case .host(let namespace): return try send(request, plan, from: nil, in: namespace, until: stop)
    case .somebody(let address, let link):
      return try wait(for: request, plan, from: address, by: link, until: stop)
    }
  }

  // MARK: - A packet of ours

  private func send(
    _ request: TraceRequest, _ plan: TracePlan, from container: String?, in namespace: NetworkNamespace,
    until stop: TraceStop
  ) throws(NetworkError) -> PacketTrace {
    let destination = try plan.destination(request)
    let place = container.map { NetworkGraph.Place.container($0) } ?? .host
    let route: Route
    do throws(NetworkError) { route = try namespace.routes.get(to: destination) } catch {
      guard error.kernel != nil, error.code != .permissionDenied else { throw error }
      return PacketTrace(unsent: destination, at: place, noWay(to: destination, plan, container, error))
    }
    let packet = request.kind.probe(from: route.preferredSource, to: destination)
    let probe = try host.kernel.openProbe(packet, in: namespace.handle)
    let end = TraceMatch.End(address: destination, port: packet.port)
    let match = TraceMatch(
      family: destination.family, transport: packet.transport,
      source: .init(address: route.preferredSource, port: probe.sourcePort), destinations: [end],
      answerers: plan.answerers([end], request.kind))

    var answer: ProbeAnswer?
    let seen = try observe(match, plan, for: request.timeout, until: stop) {
      (isFirst, flow) throws(NetworkError) in
      if isFirst {
        do throws(NetworkError) { try probe.send() } catch {
          guard let errno = error.kernel?.errno else { throw error }
          answer = .failed(errno, by: nil)
        }
      }
      if answer == nil { answer = try probe.wait(timeout: .milliseconds(20)) }
      return answer != nil || flow.isDropped
    }
    var trace = tell(seen)
    let flow = PacketTrace.Flow(
      transport: PacketTrace.Flow.name(packet.transport), source: route.preferredSource ?? .any(destination.family),
      sourcePort: probe.sourcePort, destination: destination, destinationPort: packet.port)
    trace.packet = flow
    if container != nil {
      let by = route.link.flatMap { try? namespace.links.get($0).name } ?? "its interface"
      let hop = PacketTrace.Hop(place, "leaves by \(by)\(route.gateway.map { ", to its gateway \($0)" } ?? "")", flow)
      trace.there.insert(hop, at: 0)
      if plan.networks.contains(where: { !passesHost($0) && plan.own.map(\.networkID).contains($0.id) }) {
        trace.remarks.append("packets of a macvlan go by the wire of its parent, past the host's rules")
      }
    }
    if seen.flow.there.isEmpty { ask(&trace, seen, destination) }
    if trace.there.isEmpty { trace.there = [PacketTrace.Hop(.host, "is sent", flow)] }
    finish(&trace, seen, answer, request, isOurs: true)
    return trace
  }

  /// Reports a packet that was never sent, because its receiver's hardware address was not resolved.
  private func ask(_ trace: inout PacketTrace, _ seen: Observation, _ destination: IPAddress) {
    let story = TraceStory(seen.flow.question, seen.context)
    guard var first = story.hops.first else { return }
    let question = destination.family == .ipv4 ? "ARP" : "neighbour discovery"
    first.text += ", as a question (\(question)): who has \(destination)?"
    trace.there += [first] + story.hops.dropFirst()
    trace.outcome =
      story.drop.map {
        PacketTrace.Outcome(.dropped, "the question for its receiver's hardware address, \($0.text)", $0.rule)
      }
      ?? PacketTrace.Outcome(.lost, "no host answers for \(destination) (\(question))")
  }

  private func noWay(
    to destination: IPAddress, _ plan: TracePlan, _ container: String?, _ error: NetworkError
  ) -> String {
    guard let container else { return "the host has no route to \(destination): \(error.reason)" }
    let networks = plan.networks.filter { network in plan.own.contains { $0.networkID == network.id } }
    guard !networks.isEmpty else { return "\(container) is on no network" }
    guard networks.allSatisfy(\.isInternal) else { return "\(container) has no route to \(destination)" }
    let names = networks.map(\.name).sorted().joined(separator: " and ")
    return "\(container) has no route to \(destination): network \(names) is internal, and has no way out"
  }

  // MARK: - A packet of somebody else's

  private func wait(
    for request: TraceRequest, _ plan: TracePlan, from address: IPAddress?, by link: InterfaceName?,
    until stop: TraceStop
  ) throws(NetworkError) -> PacketTrace {
    let all = plan.destinations(request, try host.addresses.list())
    let family = address?.family ?? all.first?.address?.family ?? .ipv4
    let destinations = all.filter { $0.address?.family == family }
    guard !destinations.isEmpty else {
      throw NetworkError(
        .conflictingOptions, operation: "trace a packet from \(request.from) to \(request.to)\(request.kind)",
        reason: "\(request.to) has no \(family) address")
    }
    let match = TraceMatch(
      family: family, transport: request.kind == .echo && family == .ipv6 ? 58 : request.kind.transport,
      source: .init(address: address, port: nil), link: link, destinations: destinations,
      answerers: plan.answerers(destinations, request.kind))
    var (rounds, quietRounds, seenVisits) = (0, 0, 0)
    let pause = DispatchSemaphore(value: 0)
    let seen = try observe(match, plan, for: request.timeout, until: stop) { (_, flow) in
      _ = pause.wait(timeout: .now() + .milliseconds(20))
      guard !flow.there.isEmpty else { return false }
      // The packet has arrived; an answer gets a second, or the rest of the time.
      rounds += 1
      quietRounds = flow.back.count == seenVisits ? quietRounds + 1 : 0
      seenVisits = flow.back.count
      return flow.isDropped || (!flow.back.isEmpty && quietRounds >= 3) || rounds > 50
    }
    var trace = tell(seen)
    trace.packet = seen.flow.there.first.flatMap { PacketTrace.Flow($0.packet) }
    guard trace.packet != nil else {
      trace.outcome = PacketTrace.Outcome(
        .unseen,
        "no packet from \(request.from) to \(request.to)\(request.kind) came within "
          + "\(Self.seconds(request.timeout)); "
          + "it did not reach this host, or had another address")
      return trace
    }
    finish(&trace, seen, nil, request, isOurs: false)
    return trace
  }

  // MARK: - What both do

  private struct Observation {
    var flow: TracedFlow
    var context: TraceContext
    var isLossy: Bool
  }

  /// Traces matching packets while a step is repeated, until the step says that it is enough.
  private func observe(
    _ match: TraceMatch, _ plan: TracePlan, for time: Duration, until stop: TraceStop,
    _ isEnough: (_ isFirst: Bool, _ flow: TracedFlow) throws(NetworkError) -> Bool
  ) throws(NetworkError) -> Observation {
    let reader = try NftTraceReader(try host.kernel.openSocket(.netfilter, in: host.handle))
    let table = try TraceTable(match, in: host)
    // If this fails, the end of its socket removes the table.
    defer { try? table.remove() }
    let context = try TraceContext(host, networks: plan.networks, endpoints: plan.endpoints, tracer: table.name)
    let deadline = ContinuousClock.now + time
    var record = TraceRecord(
      begins: { match.begins($0) }, hook: { table, chain in context.hook(of: table, chain) })
    record.add(try reader.take())
    var isFirst = true
    while true {
      let isDone = try isEnough(isFirst, record.flow)
      isFirst = false
      record.add(try reader.take())
      if isDone || record.isFull || stop.isSet || ContinuousClock.now >= deadline { break }
    }
    return Observation(flow: record.flow, context: context, isLossy: record.isLossy)
  }

  /// Both ways, without how it ended.
  private func tell(_ seen: Observation) -> PacketTrace {
    var trace = PacketTrace(there: [], back: [], outcome: PacketTrace.Outcome(.lost, ""), remarks: [])
    var there = TraceStory(seen.flow.there, seen.context)
    let source = seen.flow.there.first?.packet.source.map { "\($0)" } ?? "somebody"
    there.tellOrigin(seen.flow.there.first, "\(source) sends it")
    let hasArrived = there.tellArrival()
    trace.there = there.hops
    trace.note(there)
    if let drop = there.drop {
      trace.outcome = PacketTrace.Outcome(.dropped, drop.text, drop.rule)
      return trace
    }
    if let last = there.last, let flow = there.lastFlow {
      trace.outcome =
        hasArrived
        ? PacketTrace.Outcome(.delivered, "")
        : PacketTrace.Outcome(.lost, seen.context.loss(after: last, flow))
    }
    var back = TraceStory(seen.flow.back, seen.context)
    if let first = seen.flow.back.first {
      back.tellOrigin(first, "\(first.packet.source.map { "\($0)" } ?? "it") answers")
      if first.table.family == .bridge, let sender = first.incomingLink.flatMap({ seen.context.endpoint(atPort: $0) }) {
        back.prepend(
          PacketTrace.Hop(
            .container(sender.container), "answers by \(sender.interface)", PacketTrace.Flow(first.packet)))
      }
      let hasReturned = back.tellArrival()
      trace.note(back)
      if let drop = back.drop {
        trace.outcome = PacketTrace.Outcome(.dropped, "the answer, \(drop.text)", drop.rule)
      } else if !hasReturned, let last = back.last, let flow = back.lastFlow {
        let question = seen.flow.there.first.flatMap { PacketTrace.Flow($0.packet) }
        trace.outcome = PacketTrace.Outcome(
          .lost, seen.context.lostAnswer(last, flow, to: question, sentBy: seen.flow.there.last?.outgoingLink))
      }
    }
    trace.back = back.hops
    return trace
  }

  /// Derives the outcome from the answer.
  private func finish(
    _ trace: inout PacketTrace, _ seen: Observation, _ answer: ProbeAnswer?, _ request: TraceRequest, isOurs: Bool
  ) {
    if seen.isLossy { trace.remarks.append("the kernel dropped reports of traced packets; steps are missing") }
    guard trace.outcome.kind != .dropped else { return }
    let answers = seen.flow.back.first?.packet
    switch answer {
    case .answered?: trace.outcome = PacketTrace.Outcome(.answered, Self.words(request.kind))
    case .failed(let errno, let by)?: fail(&trace, seen, errno, by, request)
    case nil where answers != nil && !isOurs && trace.outcome.kind != .lost:
      let isReset = (answers?.flags ?? 0) & 4 != 0
      trace.outcome =
        isReset
        ? PacketTrace.Outcome(.refused, Self.noListener(request))
        : PacketTrace.Outcome(.answered, "the receiver answers")
    case nil where trace.outcome.kind == .delivered:
      let last = seen.flow.there.last
      if let flow = trace.there.last?.packet, let link = last?.outgoingLink,
        let silent = seen.context.silentNeighbor(of: flow, on: link)
      {
        trace.outcome = PacketTrace.Outcome(.lost, silent)
      } else {
        trace.outcome.text =
          "no answer came within \(Self.seconds(isOurs ? request.timeout : .seconds(1)))"
          + (request.kind.transport == 17 ? ", which is normal for many UDP services" : "")
      }
    case nil:
      if seen.flow.there.isEmpty, trace.outcome.text.isEmpty {
        trace.outcome = PacketTrace.Outcome(
          .lost, "the host did not see it, and no answer came within \(Self.seconds(request.timeout))")
      }
    }
  }

  private func fail(
    _ trace: inout PacketTrace, _ seen: Observation, _ errno: Errno, _ by: IPAddress?, _ request: TraceRequest
  ) {
    switch (errno, by) {
    case (.connectionRefused, nil):
      trace.outcome = PacketTrace.Outcome(.refused, Self.noListener(request))
    case (.connectionRefused, let sender?):
      trace.outcome = PacketTrace.Outcome(.refused, "\(Self.noListener(request)): \(sender) says so by ICMP")
    case (_, let sender?):
      let flow = trace.there.last?.packet
      let link = seen.flow.there.last?.outgoingLink
      let why =
        seen.context.isOwn(sender)
        ? flow.flatMap { flow in link.flatMap { seen.context.silentNeighbor(of: flow, on: $0) } } : nil
      trace.outcome = PacketTrace.Outcome(
        .lost,
        "\(sender) says by ICMP: \(errno)"
          + (why.map { "; \($0)" }
            ?? (trace.outcome.kind == .lost && !trace.outcome.text.isEmpty ? "; \(trace.outcome.text)" : "")))
    case (_, nil):
      let because = trace.outcome.kind == .lost && !trace.outcome.text.isEmpty ? "; \(trace.outcome.text)" : ""
      trace.outcome = PacketTrace.Outcome(.lost, "the sender's own kernel says: \(errno)\(because)")
    }
  }

  private static func words(_ kind: TraceRequest.Kind) -> String {
    switch kind {
    case .tcp: "the connection is made"
    case .udp: "a datagram came back"
    case .echo: "the echo came back"
    }
  }

  private static func noListener(_ request: TraceRequest) -> String {
    request.kind.port.map { "no program listens on port \($0) of \(request.to)" } ?? "\(request.to) refuses it"
  }

  private static func seconds(_ time: Duration) -> String {
    let milliseconds = time.milliseconds
    return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000) s" : "\(milliseconds) ms"
  }
}

/// Ends a trace early.
final class TraceStop: Sendable {
  private let flag = Atomic(false)
  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}

extension TracedFlow {
  /// Whether a rule has dropped it, on the way there or back.
  var isDropped: Bool {
    there.last?.isDropped == true || back.last?.isDropped == true || (there.isEmpty && question.last?.isDropped == true)
  }
}

extension PacketTrace {
  /// Notes what the host has come to be that takes a packet off its way.
  fileprivate mutating func note(_ story: TraceStory) {
    let family = story.lastFlow?.destination.family ?? .ipv4
    let notes = [
      story.context.detour(of: story.last, story.lastFlow),
      story.drop.flatMap { story.context.remedy(for: $0.rule, story.last, family) },
    ]
    for case let note? in notes where !remarks.contains(note) { remarks.append(note) }
  }

  /// Of a packet that could not be sent.
  fileprivate init(unsent destination: IPAddress, at place: NetworkGraph.Place, _ why: String) {
    self.init(
      there: [Hop(place, "has no way to \(destination)")], back: [], outcome: Outcome(.lost, why), remarks: [])
  }
}

extension NetworkController {
  /// Traces a real packet with the kernel's own trace: through bridges, every chain that decides on it, routing and
  /// NAT, and its first answer.
  ///
  /// During the trace, two nftables tables named `containernetworking-trace-…` match that flow alone, at every hook.
  /// They belong to a socket of this process and are deleted with it. A container or the host sends the packet itself:
  /// the first of a TCP connection, an empty datagram or an echo. For any other sender, the call waits for a packet.
  /// Cancelling the calling task ends the trace as if its time were over.
  ///
  /// - Throws: `.notFound` for a name that is neither a container nor a link; `.conflictingOptions` for a container
  ///   without a network; `.invalidValue` for an invalid time; `.unsupported` by a kernel without packets, or without
  ///   tables owned by a socket.
  public func trace(_ request: TraceRequest) async throws(NetworkError) -> PacketTrace {
    let stop = TraceStop()
    let result: Result<PacketTrace, NetworkError> = await withTaskCancellationHandler {
      do throws(NetworkError) {
        return .success(
          // It may wait for an hour, so it does not occupy a verb's thread.
          try await Worker.apart("ContainerNetworking.trace") { [engine] () throws(NetworkError) in
            try engine.trace(request, until: stop)
          })
      } catch { return .failure(error) }
    } onCancel: {
      stop.set()
    }
    return try result.get()
  }
}
