import NetworkPrimitives

#if canImport(Glibc)
  import Glibc
#endif

/// Reads a record's JSON text in one pass, in the form in which the store writes it: fields in the order of their
/// declaration, without spaces or escapes. It returns nil for any other text, which Foundation's decoder then reads or
/// refuses.
///
/// The results equal that decoder's, in a twentieth of the time: it builds no tree, and reuses the texts of the record
/// before.
///
/// Unsafe code: bytes are compared by memcmp(3), within bounds that are checked before.
@safe package struct RecordScanner {
  /// The text and a terminating zero, which no text contains: no read passes it.
  private var bytes: [UInt8] = [0]
  private var position = 0
  /// The last value of each repeated text, and its bytes.
  private var last = [(bytes: [UInt8], text: String)](repeating: ([], ""), count: Repeated.allCases.count)

  /// Texts that many or consecutive records share.
  package enum Repeated: Int, CaseIterable { case network, networkName, container, sandbox, owner }

  package init() {}

  /// Starts with a new text.
  ///
  /// - Parameter fill: Appends its bytes to an empty array.
  package mutating func begin(_ fill: (inout [UInt8]) -> Void) {
    bytes.removeAll(keepingCapacity: true)
    fill(&bytes)
    bytes.append(0)
    position = 0
  }

  /// Whether the text ends here.
  package var isAtEnd: Bool { position == bytes.count - 1 }

  /// Passes over a byte, if that is the next.
  mutating func skip(_ byte: UInt8) -> Bool {
    guard bytes[position] == byte else { return false }
    position += 1
    return true
  }

  mutating func open() -> Bool { skip(UInt8(ascii: "{")) }
  mutating func close() -> Bool { skip(UInt8(ascii: "}")) }

  /// Consumes a field's name, if it is next in an object.
  mutating func field(_ name: StaticString) -> Bool {
    var start = position
    // The first one of an object has no comma.
    if start > 0, bytes[start - 1] != UInt8(ascii: "{") {
      guard bytes[start] == UInt8(ascii: ",") else { return false }
      start += 1
    }
    let count = name.utf8CodeUnitCount
    let end = start + count + 1
    guard end + 1 < bytes.count, bytes[start] == UInt8(ascii: "\""), bytes[end] == UInt8(ascii: "\""),
      bytes[end + 1] == UInt8(ascii: ":")
    else { return false }
    guard unsafe isSame(start + 1, name.utf8Start, count) else { return false }
    position = end + 2
    return true
  }

  // MARK: - Values

  /// The next text.
  mutating func text() -> String? { range().map { String(decoding: bytes[$0], as: UTF8.self) } }

  /// As ``text()``, but reuses the text of the record before if it is equal.
  mutating func text(_ repeated: Repeated) -> String? {
    guard let range = range() else { return nil }
    let known = last[repeated.rawValue]
    if range.count == known.bytes.count {
      guard unsafe !isSame(range.lowerBound, known.bytes, range.count) else { return known.text }
    }
    let own = Array(bytes[range])
    let text = String(decoding: own, as: UTF8.self)
    last[repeated.rawValue] = (own, text)
    return text
  }

  /// Whether the bytes at a position equal these; the caller has checked the bounds.
  @unsafe private func isSame(_ start: Int, _ other: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    unsafe bytes.withUnsafeBufferPointer { own in
      guard let first = own.baseAddress else { return false }
      return unsafe memcmp(first + start, other, count) == 0
    }
  }

  /// Consumes a text; nil for none, or one with an escape.
  private mutating func range() -> Range<Int>? {
    guard skip(UInt8(ascii: "\"")) else { return nil }
    let start = position
    var end = start
    while true {
      let byte = bytes[end]
      if byte == UInt8(ascii: "\"") { break }
      guard byte >= 0x20, byte != UInt8(ascii: "\\") else { return nil }
      end += 1
    }
    position = end + 1
    return start..<end
  }

  mutating func truth() -> Bool? {
    switch bytes[position] {
    case UInt8(ascii: "t"): word("true") ? true : nil
    case UInt8(ascii: "f"): word("false") ? false : nil
    default: nil
    }
  }

  private mutating func word(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard position + count < bytes.count else { return false }
    guard unsafe isSame(position, word.utf8Start, count) else { return false }
    position += count
    return true
  }

  /// Consumes a whole number; nil for one out of the type's range, or with a fraction.
  mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
    let isNegative = Value.isSigned && skip(UInt8(ascii: "-"))
    var value: Value = 0
    let start = position
    while true {
      let digit = bytes[position] &- UInt8(ascii: "0")
      guard digit <= 9 else { break }
      // No leading zeros.
      if value == 0, position > start { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let next =
        isNegative ? tens.subtractingReportingOverflow(Value(digit)) : tens.addingReportingOverflow(Value(digit))
      guard !overflow, !next.overflow else { return nil }
      value = next.partialValue
      position += 1
    }
    guard position > start else { return nil }
    switch bytes[position] {
    case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"): return value
    default: return nil
    }
  }

  mutating func value<Value: RawRepresentable>(_ type: Value.Type = Value.self) -> Value?
  where Value.RawValue == String {
    text().flatMap { Value(rawValue: $0) }
  }

  mutating func address() -> IPAddress? {
    let start = position
    if skip(UInt8(ascii: "\"")), let number = quad(), skip(UInt8(ascii: "\"")) {
      return .v4(IPv4Address(rawValue: number))
    }
    position = start
    return text().flatMap { try? IPAddress($0) }
  }

  mutating func interfaceAddress() -> InterfaceAddress? {
    let start = position
    if skip(UInt8(ascii: "\"")), let number = quad(), skip(UInt8(ascii: "/")), let length = part(atMost: 32),
      skip(UInt8(ascii: "\""))
    {
      return try? InterfaceAddress(address: .v4(IPv4Address(rawValue: number)), prefixLength: Int(length))
    }
    position = start
    return text().flatMap { try? InterfaceAddress($0) }
  }

  private mutating func quad() -> UInt32? {
    var number: UInt32 = 0
    for place in 0..<4 {
      if place > 0, !skip(UInt8(ascii: ".")) { return nil }
      guard let part = part(atMost: 255) else { return nil }
      number = number << 8 | part
    }
    return number
  }

  /// A decimal number without leading zeros.
  private mutating func part(atMost limit: UInt32) -> UInt32? {
    var value: UInt32 = 0
    let start = position
    while true {
      let digit = bytes[position] &- UInt8(ascii: "0")
      guard digit <= 9 else { break }
      if value == 0, position > start { return nil }
      value = value * 10 + UInt32(digit)
      guard value <= limit else { return nil }
      position += 1
    }
    return position > start ? value : nil
  }

  mutating func interface() -> InterfaceName? { text().flatMap { try? InterfaceName($0) } }

  mutating func hardwareAddress() -> MACAddress? { text().flatMap { try? MACAddress($0) } }

  /// An object whose values are texts.
  mutating func texts() -> [String: String]? {
    guard open() else { return nil }
    var texts: [String: String] = [:]
    if close() { return texts }
    repeat {
      guard let name = text(), skip(UInt8(ascii: ":")), let value = text() else { return nil }
      texts[name] = value
    } while skip(UInt8(ascii: ","))
    return close() ? texts : nil
  }

  mutating func list<Element>(_ element: (inout RecordScanner) -> Element?) -> [Element]? {
    guard skip(UInt8(ascii: "[")) else { return nil }
    if skip(UInt8(ascii: "]")) { return [] }
    var list: [Element] = []
    repeat {
      guard let element = element(&self) else { return nil }
      list.append(element)
    } while skip(UInt8(ascii: ","))
    return skip(UInt8(ascii: "]")) ? list : nil
  }
}
