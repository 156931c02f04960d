/// All fields of a value in the order of its initializer: `SubnetRecord(subnet: 10.0.0.0/8, gateway: nil)`. For debug
/// descriptions of values whose description omits fields.
package func allFields<Value>(of value: Value) -> String {
  let fields = Mirror(reflecting: value).children.map { child in
    "\(child.label.map { "\($0): " } ?? "")\(debugText(child.value))"
  }
  return "\(Value.self)(\(fields.joined(separator: ", ")))"
}

/// A field's debug description, without the wrapping of optionals.
private func debugText(_ value: Any) -> String {
  let mirror = Mirror(reflecting: value)
  guard mirror.displayStyle == .optional else { return String(reflecting: value) }
  return mirror.children.first.map { debugText($0.value) } ?? "nil"
}

/// The parts that are not nil, separated by commas.
package func sentence(_ parts: [String?]) -> String { parts.compactMap(\.self).joined(separator: ", ") }
