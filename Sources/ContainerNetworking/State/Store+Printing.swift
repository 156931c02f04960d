import NetworkPrimitives

// One line each for people; all fields for a debugger.

extension StoreRecord: CustomStringConvertible, CustomDebugStringConvertible {
  private var value: any CustomStringConvertible & CustomDebugStringConvertible {
    switch self {
    case .network(let record): record
    case .pool(let record): record
    case .sandbox(let record): record
    case .endpoint(let record): record
    case .host(let record): record
    }
  }

  /// The description of its record.
  public var description: String { value.description }

  /// All fields of its record.
  public var debugDescription: String { value.debugDescription }
}

extension StoreRecord.Key: CustomStringConvertible, CustomDebugStringConvertible {
  /// `sandbox web`.
  public var description: String { "\(kind) \(id)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension StoreChange: CustomStringConvertible, CustomDebugStringConvertible {
  /// `save network blue (bridge): 192.168.50.0/24`, `remove sandbox web`.
  public var description: String {
    switch self {
    case .save(let record): "save \(record)"
    case .remove(let key): "remove \(key)"
    case .event(let event): "event \(event)"
    }
  }

  /// All fields of the changed record.
  public var debugDescription: String {
    switch self {
    case .save(let record): "save \(record.debugDescription)"
    case .remove(let key): "remove \(key.debugDescription)"
    case .event(let event): "event \(event.debugDescription)"
    }
  }
}

extension StoreDelta: CustomStringConvertible, CustomDebugStringConvertible {
  /// `revision 7: 3 changes`, or `all` of them.
  public var description: String {
    "revision \(revision): \(isComplete ? "all, " : "")\(count(changes.count, "change"))"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension NetworkEvent: CustomStringConvertible, CustomDebugStringConvertible {
  /// As Docker's `events` prints it: `2026-01-31T12:00:00.000000000Z network connect ID (container=web, name=blue)`.
  public var description: String {
    let attributes = sentence(
      [container.map { "container=\($0)" }, network.isEmpty ? nil : "name=\(network)"]
        + (ports ?? []).map { "port=\($0)" })
    let subject = networkID.isEmpty ? "" : " \(networkID)"
    return "\(time) network \(action)\(subject)\(attributes.isEmpty ? "" : " (\(attributes))")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension NetworkEvents.Element: CustomStringConvertible, CustomDebugStringConvertible {
  /// The number and the event.
  public var description: String { "\(number) \(event)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}
