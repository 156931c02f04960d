import NIOCore
import NetworkPrimitives

/// Answers the queries at one place. Used on one event loop only.
final class Responder {
  let context: ServerContext
  let forwarder: Forwarder
  let place: ListeningPlace
  private var random = Shuffler()

  init(_ context: ServerContext, _ forwarder: Forwarder, at place: ListeningPlace) {
    self.context = context
    self.forwarder = forwarder
    self.place = place
  }

  /// The outcome of a query.
  enum Outcome {
    /// The response is in the buffer.
    case answered
    /// There is none.
    case ignored
    /// Others are to be asked.
    case unknown(Query, CacheKey)
  }

  /// Processes a message, and appends the response to the buffer. The caller refreshes the directory.
  ///
  /// - Parameter isDatagram: Whether the client's datagram limit bounds the response.
  func respond(
    to message: Span<UInt8>, from source: IPAddress, isDatagram: Bool, into buffer: inout ByteBuffer
  ) -> Outcome {
    let outcome = answer(to: message, from: source, isDatagram: isDatagram, into: &buffer)
    context.metrics.count(outcome)
    return outcome
  }

  private func answer(
    to message: Span<UInt8>, from source: IPAddress, isDatagram: Bool, into buffer: inout ByteBuffer
  ) -> Outcome {
    let query: Query
    do throws(NetworkError) { query = try Query(parsing: message) } catch {
      guard let header = try? Message.Header(parsing: message), !header.flags.contains(.response),
        context.directory.knows(source, at: place)
      else { return .ignored }
      ResponseWriter.write(malformed: header, to: &buffer)
      return .answered
    }
    let local = context.directory.look(up: query.question.name, query.question.type, from: source, at: place)
    if case .stranger = local.answer { return .ignored }
    let writer = writer(query, isDatagram: isDatagram, revision: local.revision)
    if let code = Self.refusal(of: query) {
      writer.write(code: code, to: &buffer)
      return .answered
    }
    switch local.answer {
    case .stranger: return .ignored
    case .addresses(var addresses):
      if addresses.count > 1 { addresses.shuffle(using: &random) }
      writer.write(addresses: addresses, to: &buffer)
    case .names(let names): writer.write(names: names, to: &buffer)
    case .noWayOut:
      if query.question.name.labelCount == 1 {
        writer.write(nothing: .nameError, to: &buffer)
      } else {
        writer.write(code: .serverFailure, to: &buffer)
      }
    case .elsewhere(let upstreams):
      let key = CacheKey(query, upstreams)
      if let (answer, age) = context.cache.answer(key) {
        writer.write(relayed: answer, age: age, to: &buffer)
      } else if query.flags.contains(.recursionDesired) {
        return .unknown(query, key)
      } else {
        writer.write(code: .refused, to: &buffer)
      }
    }
    return .answered
  }

  /// Writes another server's answer.
  func write(_ answer: UpstreamAnswer, to query: Query, isDatagram: Bool, into buffer: inout ByteBuffer) {
    writer(query, isDatagram: isDatagram, revision: 0).write(relayed: answer, age: 0, to: &buffer)
  }

  private func writer(_ query: Query, isDatagram: Bool, revision: UInt64) -> ResponseWriter {
    ResponseWriter(
      query: query, limit: isDatagram ? min(query.payloadLimit, Self.datagramLimit) : 65_535,
      timeToLive: context.settings.timeToLive, serial: UInt32(truncatingIfNeeded: revision))
  }

  /// The maximum UDP response, whatever the client's limit; the same as most servers'.
  private static let datagramLimit = 4_096

  /// The refusal of a query, independent of its name; nil for none.
  private static func refusal(of query: Query) -> ResponseCode? {
    guard query.opcode == .query else { return .notImplemented }
    if let edns = query.edns, edns.version > 0 { return .badVersion }
    guard [.internet, .any].contains(query.question.recordClass) else { return .refused }
    switch query.question.type {
    case .axfr, .ixfr: return .refused
    case .opt: return .formatError
    default: return nil
    }
  }
}

/// Random enough for the order of addresses, and much faster than the system's generator (xorshift64*).
struct Shuffler: RandomNumberGenerator {
  private var state = UInt64.random(in: 1...(.max))

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}
