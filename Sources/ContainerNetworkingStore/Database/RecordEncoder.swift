/// Writes values as JSON (RFC 8259), with keys in the order of their encoding: the stored form of a record. It writes
/// directly into one array of bytes; Foundation's encoder builds a tree of objects first and takes five times as long.
///
/// It supports the contents of records: texts, integers, truth values, and arrays, dictionaries and structures of them.
/// Nil values have no key.
struct RecordEncoder {
  /// The text of a value.
  ///
  /// - Throws: `EncodingError` for any other value, such as a fraction.
  static func text(_ value: some Encodable) throws -> String {
    let sink = Sink()
    try sink.write(value)
    return String(decoding: sink.bytes, as: UTF8.self)
  }

  /// A text as a JSON literal.
  static func literal(_ text: String) -> String {
    let sink = Sink()
    sink.write(text: text)
    return String(decoding: sink.bytes, as: UTF8.self)
  }

  /// The bytes so far. A container stays open until the next one of the same depth or above is requested.
  fileprivate final class Sink {
    var bytes: [UInt8] = []
    var path: [any CodingKey] = []
    /// The closing bytes of the open containers, and whether each is empty.
    private var open: [(end: UInt8, isEmpty: Bool)] = []

    init() { bytes.reserveCapacity(1_024) }

    var depth: Int { open.count }

    func begin(_ start: UInt8, _ end: UInt8) {
      bytes.append(start)
      open.append((end, true))
    }

    /// Closes the containers beyond a depth.
    func close(to depth: Int) { while open.count > depth { bytes.append(open.removeLast().end) } }

    func separate(at depth: Int) {
      close(to: depth)
      if !open[depth - 1].isEmpty { bytes.append(UInt8(ascii: ",")) }
      open[depth - 1].isEmpty = false
    }

    func write(_ value: some Encodable) throws {
      if let text = value as? String { return write(text: text) }
      let start = bytes.count
      let depth = open.count
      try value.encode(to: ValueEncoder(sink: self))
      close(to: depth)
      guard bytes.count == start else { return }
      throw EncodingError.invalidValue(
        value, EncodingError.Context(codingPath: path, debugDescription: "it encodes as nothing"))
    }

    func write(text: String) {
      bytes.append(UInt8(ascii: "\""))
      defer { bytes.append(UInt8(ascii: "\"")) }
      // Appends a text without escapes at once: every access to `bytes` has an exclusivity check.
      if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
        return bytes.append(contentsOf: text.utf8)
      }
      for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
        case 0x0a: bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
        case 0..<0x20:
          let digits = Array("0123456789abcdef".utf8)
          bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
        default: bytes.append(byte)
        }
      }
    }

    func write(raw: String) { bytes.append(contentsOf: raw.utf8) }

    func refuse(_ value: Any) -> EncodingError {
      .invalidValue(
        value, EncodingError.Context(codingPath: path, debugDescription: "a record has no \(type(of: value))"))
    }
  }

  private struct ValueEncoder: Encoder, SingleValueEncodingContainer {
    let sink: Sink
    var codingPath: [any CodingKey] { sink.path }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
      sink.begin(UInt8(ascii: "{"), UInt8(ascii: "}"))
      return KeyedEncodingContainer(Fields<Key>(sink: sink, depth: sink.depth))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
      sink.begin(UInt8(ascii: "["), UInt8(ascii: "]"))
      return Items(sink: sink, depth: sink.depth)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() { sink.write(raw: "null") }
    func encode(_ value: Bool) { sink.write(raw: value ? "true" : "false") }
    func encode(_ value: String) { sink.write(text: value) }
    func encode(_ value: Double) throws { throw sink.refuse(value) }
    func encode(_ value: Float) throws { throw sink.refuse(value) }
    func encode(_ value: Int) { sink.write(raw: String(value)) }
    func encode(_ value: Int8) { sink.write(raw: String(value)) }
    func encode(_ value: Int16) { sink.write(raw: String(value)) }
    func encode(_ value: Int32) { sink.write(raw: String(value)) }
    func encode(_ value: Int64) { sink.write(raw: String(value)) }
    func encode(_ value: UInt) { sink.write(raw: String(value)) }
    func encode(_ value: UInt8) { sink.write(raw: String(value)) }
    func encode(_ value: UInt16) { sink.write(raw: String(value)) }
    func encode(_ value: UInt32) { sink.write(raw: String(value)) }
    func encode(_ value: UInt64) { sink.write(raw: String(value)) }
    func encode(_ value: some Encodable) throws { try sink.write(value) }
  }

  private struct Fields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let sink: Sink
    let depth: Int
    var codingPath: [any CodingKey] { sink.path }

    private func name(_ key: any CodingKey) {
      sink.separate(at: depth)
      sink.write(text: key.stringValue)
      sink.bytes.append(UInt8(ascii: ":"))
    }

    func encodeNil(forKey key: Key) { name(key); sink.write(raw: "null") }
    func encode(_ value: Bool, forKey key: Key) { name(key); sink.write(raw: value ? "true" : "false") }
    func encode(_ value: String, forKey key: Key) { name(key); sink.write(text: value) }
    func encode(_ value: Double, forKey key: Key) throws { throw sink.refuse(value) }
    func encode(_ value: Float, forKey key: Key) throws { throw sink.refuse(value) }
    func encode(_ value: Int, forKey key: Key) { number(value, key) }
    func encode(_ value: Int8, forKey key: Key) { number(value, key) }
    func encode(_ value: Int16, forKey key: Key) { number(value, key) }
    func encode(_ value: Int32, forKey key: Key) { number(value, key) }
    func encode(_ value: Int64, forKey key: Key) { number(value, key) }
    func encode(_ value: UInt, forKey key: Key) { number(value, key) }
    func encode(_ value: UInt8, forKey key: Key) { number(value, key) }
    func encode(_ value: UInt16, forKey key: Key) { number(value, key) }
    func encode(_ value: UInt32, forKey key: Key) { number(value, key) }
    func encode(_ value: UInt64, forKey key: Key) { number(value, key) }

    private func number(_ value: some BinaryInteger, _ key: Key) {
      name(key)
      sink.write(raw: String(value))
    }

    func encode(_ value: some Encodable, forKey key: Key) throws {
      name(key)
      sink.path.append(key)
      defer { sink.path.removeLast() }
      try sink.write(value)
    }

    func nestedContainer<Inner: CodingKey>(
      keyedBy type: Inner.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Inner> {
      name(key)
      return ValueEncoder(sink: sink).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      name(key)
      return ValueEncoder(sink: sink).unkeyedContainer()
    }

    // No record contains a class.
    func superEncoder() -> any Encoder { ValueEncoder(sink: sink) }

    func superEncoder(forKey key: Key) -> any Encoder {
      name(key)
      return ValueEncoder(sink: sink)
    }
  }

  private struct Items: UnkeyedEncodingContainer {
    let sink: Sink
    let depth: Int
    var count = 0
    var codingPath: [any CodingKey] { sink.path }

    init(sink: Sink, depth: Int) {
      self.sink = sink
      self.depth = depth
    }

    private mutating func next() {
      sink.separate(at: depth)
      count += 1
    }

    mutating func encodeNil() { next(); sink.write(raw: "null") }
    mutating func encode(_ value: Bool) { next(); sink.write(raw: value ? "true" : "false") }
    mutating func encode(_ value: String) { next(); sink.write(text: value) }
    mutating func encode(_ value: Double) throws { throw sink.refuse(value) }
    mutating func encode(_ value: Float) throws { throw sink.refuse(value) }
    mutating func encode(_ value: Int) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: Int8) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: Int16) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: Int32) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: Int64) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: UInt) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: UInt8) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: UInt16) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: UInt32) { next(); sink.write(raw: String(value)) }
    mutating func encode(_ value: UInt64) { next(); sink.write(raw: String(value)) }

    mutating func encode(_ value: some Encodable) throws {
      next()
      try sink.write(value)
    }

    mutating func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) -> KeyedEncodingContainer<Inner> {
      next()
      return ValueEncoder(sink: sink).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      next()
      return ValueEncoder(sink: sink).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
      next()
      return ValueEncoder(sink: sink)
    }
  }
}
