/// An event of a network, as in Docker's `events`.
public struct NetworkEvent: Hashable, Sendable, Codable {
  /// The kind of event.
  public enum Action: String, Hashable, Sendable, Codable {
    /// A network was made.
    case create
    /// A container was attached to it.
    case connect
    /// A container was disconnected from it.
    case disconnect
    /// It was removed.
    case destroy
    /// Ports of an attached container were published.
    case publish
    /// Ports of an attached container were released.
    case unpublish
    /// The host has addresses or routes in its subnet by now. After a start of the machine it was not made again for that.
    case overlap
    /// Unused networks were removed; ``NetworkEvent/networkID`` is empty.
    case prune
  }

  /// The kind of event.
  public var action: Action
  /// When.
  public var time: Timestamp
  /// The network.
  public var networkID: String
  /// The network's name.
  public var network: String
  /// The container of a connect, disconnect, publish or unpublish event.
  public var container: String?
  /// The ports, of publish and unpublish.
  public var ports: [PublishedPort]?

  /// An event of now.
  public init(_ action: Action, networkID: String = "", network: String = "", container: String? = nil) {
    self.action = action
    time = .now()
    self.networkID = networkID
    self.network = network
    self.container = container
  }
}
