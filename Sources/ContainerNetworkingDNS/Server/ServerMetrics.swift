import CoreMetrics

/// The server's figures, in swift-metrics' system.
struct ServerMetrics: Sendable {
  private let answered: Counter
  private let asked: Counter
  private let ignored: Counter
  private let floods: Counter

  init(_ factory: any MetricsFactory) {
    let queries = { (outcome: String) in
      Counter(label: "containernetworking_dns_queries_total", dimensions: [("outcome", outcome)], factory: factory)
    }
    answered = queries("answered")
    asked = queries("forwarded")
    ignored = queries("ignored")
    floods = Counter(label: "containernetworking_dns_floods_total", factory: factory)
  }

  /// Counts a query: answered from the records or the cache, forwarded to another server, or ignored.
  func count(_ outcome: Responder.Outcome) {
    switch outcome {
    case .answered: answered.increment()
    case .unknown: asked.increment()
    case .ignored: ignored.increment()
    }
  }

  /// Counts that senders are shut out for a moment, see ``FloodGuard``: the kernel drops what they send meanwhile.
  func noteFlood() { floods.increment() }
}
