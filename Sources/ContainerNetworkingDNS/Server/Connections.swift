import NIOCore

/// The TCP connections of one event loop: limits their number, and ends them with their listener.
final class Connections {
  private let limit: Int
  private let limitPerClient: Int
  private var channels: [ListeningPlace: [ObjectIdentifier: any Channel]] = [:]
  private var counts: [Client: Int] = [:]
  private var total = 0

  init(_ settings: NameServerSettings) {
    limit = max(1, settings.connections / max(1, settings.threadCount))
    limitPerClient = settings.connectionsPerClient
  }

  /// - Returns: Whether it is within the limits.
  func add(_ channel: any Channel, of client: Client) -> Bool {
    let count = counts[client] ?? 0
    guard total < limit, count < limitPerClient else { return false }
    total += 1
    counts[client] = count + 1
    channels[client.place, default: [:]][ObjectIdentifier(channel)] = channel
    return true
  }

  /// Removes an added connection.
  func remove(_ channel: any Channel, of client: Client) {
    guard channels[client.place]?.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return }
    if channels[client.place]?.isEmpty == true { channels[client.place] = nil }
    total -= 1
    let count = counts[client] ?? 0
    counts[client] = count > 1 ? count - 1 : nil
  }

  /// Ends those that came in at a place.
  func close(at place: ListeningPlace) {
    for channel in channels[place].map({ Array($0.values) }) ?? [] { channel.close(promise: nil) }
  }
}
