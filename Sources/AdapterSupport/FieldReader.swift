package import ContainerNetworking

/// Reads fields of a configuration, and collects their faults, so that one error lists all.
package struct FieldReader {
  package private(set) var faults: [String] = []
  /// Fields that are right and cannot be done.
  package private(set) var unsupported: [String] = []

  package mutating func text(_ name: String, of object: JSON, at path: String = "") -> String? {
    guard let value = object[name] else { return nil }
    if let text = value.text { return text }
    refuse(path + name, value, "a text")
    return nil
  }

  package mutating func flag(_ name: String, of object: JSON, at path: String = "") -> Bool? {
    guard let value = object[name] else { return nil }
    if let flag = value.flag { return flag }
    refuse(path + name, value, "true or false")
    return nil
  }

  package mutating func number(_ name: String, of object: JSON, at path: String = "") -> Int? {
    guard let value = object[name] else { return nil }
    if let number = value.number { return number }
    refuse(path + name, value, "a whole number")
    return nil
  }

  package mutating func list(_ name: String, of object: JSON, at path: String = "") -> [JSON] {
    guard let value = object[name] else { return [] }
    if let list = value.list { return list }
    refuse(path + name, value, "a list")
    return []
  }

  package mutating func object(_ name: String, of object: JSON, at path: String = "") -> JSON? {
    guard let value = object[name] else { return nil }
    if value.fields != nil { return value }
    refuse(path + name, value, "an object")
    return nil
  }

  /// Reads a value of the library's from a text.
  package mutating func value<Value>(
    _ name: String, of object: JSON, at path: String = "", _ read: (String) throws(NetworkError) -> Value
  ) -> Value? {
    guard let text = text(name, of: object, at: path), !text.isEmpty else { return nil }
    return attempt(path + name) { () throws(NetworkError) in try read(text) }
  }

  package mutating func attempt<Value>(_ path: String, _ body: () throws(NetworkError) -> Value) -> Value? {
    do throws(NetworkError) { return try body() } catch {
      faults.append("\(path): \(error.reason.isEmpty ? error.description : error.reason)")
      return nil
    }
  }

  package mutating func fault(_ path: String, _ reason: String) { faults.append("\(path): \(reason)") }

  package mutating func lack(_ path: String, _ reason: String) { unsupported.append("\(path): \(reason)") }

  package init() {}

  private mutating func refuse(_ path: String, _ value: JSON, _ right: String) {
    faults.append("\(path): it is \(value.kind), but must be \(right)")
  }

  /// - Throws: Every fault, `.invalidValue`; without any, everything unsupported.
  package func check(_ operation: String) throws(NetworkError) {
    if !faults.isEmpty {
      throw NetworkError(.invalidValue, operation: operation, reason: faults.joined(separator: "; "))
    }
    if !unsupported.isEmpty {
      throw NetworkError(.unsupported, operation: operation, reason: unsupported.joined(separator: "; "))
    }
  }
}
