/// A field in which an object on record differs from a request for the same object.
public struct FieldDifference: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The field, by its name in the options: `mtu`.
  public var field: String
  /// Its recorded value, as text; `none` for no value.
  public var recorded: String
  /// Its value in the request.
  public var asked: String

  /// Makes a difference.
  public init(_ field: String, recorded: String, asked: String) {
    self.field = field
    self.recorded = recorded
    self.asked = asked
  }

  /// `mtu is 1500 there and 9000 here`.
  public var description: String { "\(field) is \(recorded) there and \(asked) here" }
}
