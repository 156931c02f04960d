import NIOCore
import NetworkPrimitives

/// Forwards other names to upstream servers: equal questions of many clients once, within the limit of concurrent ones.
/// Used on one event loop only.
final class Forwarder {
  private struct Waiter {
    var client: Client
    var reply: (UpstreamAnswer) -> Void
  }

  private let context: ServerContext
  private let eventLoop: any EventLoop
  private let health = ServerHealth()
  private let limit: Int
  private var inquiries: [CacheKey: Inquiry] = [:]
  private var waiters: [CacheKey: [Waiter]] = [:]
  private var counts: [Client: Int] = [:]
  private var isClosed = false

  init(_ context: ServerContext, on eventLoop: any EventLoop) {
    self.context = context
    self.eventLoop = eventLoop
    limit = max(1, context.settings.upstreamQueries / max(1, context.settings.threadCount))
  }

  /// Asks; `reply` is called once, perhaps at once, and with a failure for a client that has too many open questions.
  func ask(_ query: Query, _ key: CacheKey, for client: Client, _ reply: @escaping (UpstreamAnswer) -> Void) {
    let count = counts[client] ?? 0
    let isNew = inquiries[key] == nil
    guard !isClosed, count < context.settings.upstreamQueriesPerClient, !isNew || inquiries.count < limit else {
      return reply(.failure)
    }
    counts[client] = count + 1
    waiters[key, default: []].append(Waiter(client: client, reply: reply))
    guard isNew else { return }
    let inquiry = Inquiry(query, context.servers(key.upstreams), context, health, on: eventLoop)
    inquiries[key] = inquiry
    inquiry.start { [self] answer in finish(key, answer) }
  }

  private func finish(_ key: CacheKey, _ answer: UpstreamAnswer) {
    inquiries[key] = nil
    if !isClosed { context.cache.keep(answer, for: key) }
    for waiter in waiters.removeValue(forKey: key) ?? [] {
      let count = counts[waiter.client] ?? 0
      counts[waiter.client] = count > 1 ? count - 1 : nil
      waiter.reply(answer)
    }
  }

  /// Ends everything that is under way.
  func close() {
    isClosed = true
    for inquiry in Array(inquiries.values) { inquiry.cancel() }
  }
}
