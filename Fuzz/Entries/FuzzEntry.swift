import ContainerNetworking

/// The entries for arbitrary bytes. An entry neither traps nor loops, whatever the bytes. It refuses with the right
/// error, and an accepted value survives writing and reading.
public enum FuzzEntry: String, CaseIterable, Sendable {
  /// `NetlinkMessage.parse`.
  case messages
  /// `Attributes`, and those nested in them.
  case attributes
  /// `Acknowledgement`, of an error and of a dump's end.
  case acknowledgement
  /// `Link`.
  case link
  /// `AssignedAddress`.
  case address
  /// `Route`.
  case route
  /// `Neighbor`.
  case neighbor
  /// `ForwardingEntry`.
  case forwardingEntry
  /// `NftTable`.
  case table
  /// `NftChain`.
  case chain
  /// `NftSet`.
  case set
  /// `NftRuleRecord`.
  case rule
  /// `NftTrace`, and the headers in it.
  case trace
  /// `NftElement.list`, for a set whose shape the first byte chooses.
  case elements
  /// Everything that is read from text: addresses, subnets, ports, modes, names.
  case texts
  /// `SubnetConfiguration`, and a pool of it.
  case subnetConfiguration
  /// Datagrams to a route socket of the simulated kernel.
  case routeDatagram
  /// Datagrams to a netfilter socket of the simulated kernel.
  case netfilterDatagram
  /// `Message` and `Query`, of DNS.
  case dnsMessage

  /// Runs the entry.
  ///
  /// - Returns: The rule that was broken; nil when all is well.
  public func violation(_ bytes: [UInt8]) -> String? {
    do throws(Violation) {
      switch self {
      case .messages: try WireEntries.messages(bytes)
      case .attributes: try WireEntries.attributes(bytes[...], depth: 0)
      case .acknowledgement: try WireEntries.acknowledgement(bytes)
      case .link: try WireEntries.read(bytes) { (message) throws(NetworkError) in _ = try Link(message) }
      case .address: try WireEntries.read(bytes) { (message) throws(NetworkError) in _ = try AssignedAddress(message) }
      case .route: try WireEntries.read(bytes) { (message) throws(NetworkError) in _ = try Route(message) }
      case .neighbor: try WireEntries.read(bytes) { (message) throws(NetworkError) in _ = try Neighbor(message) }
      case .forwardingEntry:
        try WireEntries.read(bytes) { (message) throws(NetworkError) in _ = try ForwardingEntry(message) }
      case .table: try WireEntries.read(bytes, 0xa00) { (message) throws(NetworkError) in _ = try NftTable(message) }
      case .chain: try WireEntries.read(bytes, 0xa03) { (message) throws(NetworkError) in _ = try NftChain(message) }
      case .rule:
        try WireEntries.read(bytes, 0xa06) { (message) throws(NetworkError) in _ = try NftRuleRecord(message) }
      case .trace:
        try WireEntries.read(bytes, 0xa11) { (message) throws(NetworkError) in _ = try NftTrace(message) }
      case .set: try WireEntries.read(bytes, 0xa09) { (message) throws(NetworkError) in _ = try NftSet(message) }
      case .elements: try WireEntries.elements(bytes)
      case .texts: try TextEntries.texts(String(decoding: bytes, as: UTF8.self))
      case .subnetConfiguration: try TextEntries.subnetConfiguration(String(decoding: bytes, as: UTF8.self))
      case .routeDatagram: try KernelEntries.datagram(bytes, .route)
      case .netfilterDatagram: try KernelEntries.datagram(bytes, .netfilter)
      case .dnsMessage: try NameEntries.message(bytes)
      }
      return nil
    } catch {
      return "\(self): \(error.rule)"
    }
  }
}

/// A rule of an entry that does not hold.
struct Violation: Error {
  var rule: String

  init(_ rule: String) { self.rule = rule }

  static func unless(_ holds: Bool, _ rule: @autoclosure () -> String) throws(Violation) {
    if !holds { throw Violation(rule()) }
  }

  /// Runs a body that may refuse only with `.malformedMessage`.
  ///
  /// - Returns: Its value; nil after a refusal.
  static func unlessMalformed<Value>(_ body: () throws(NetworkError) -> Value) throws(Violation) -> Value? {
    do throws(NetworkError) { return try body() } catch {
      try unless(error.code == .malformedMessage, "refused as \(error.code), not as malformed: \(error)")
      return nil
    }
  }

  /// Runs what must not refuse.
  static func ifRefused<Value>(
    _ rule: String, _ body: () throws(NetworkError) -> Value
  ) throws(Violation) -> Value {
    do throws(NetworkError) { return try body() } catch { throw Violation("\(rule): \(error)") }
  }
}
