/// All of a value's fields, as its initializer would have them: `SubnetRecord(subnet: 10.0.0.0/8, gateway: nil)`. For
/// debug descriptions of values whose description leaves things out.
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

/// The parts that there are, separated by commas.
package func sentence(_ parts: [String?]) -> String { parts.compactMap(\.self).joined(separator: ", ") }
