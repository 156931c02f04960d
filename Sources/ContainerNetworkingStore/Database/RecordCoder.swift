import ContainerNetworking
import FoundationEssentials
import NetworkPrimitives
import SystemPackage

/// Converts records and events to and from the JSON texts of the database. For one thread at a time.
final class RecordCoder {
  private let decoder = JSONDecoder()
  private var scanner = RecordScanner()

  /// The text of a record, without its kind.
  func text(_ record: StoreRecord) throws(NetworkError) -> String {
    switch record {
    case .network(let value): try written(record.key.title) { try RecordEncoder.text(value) }
    case .pool(let value): RecordWriter.text(value)
    case .sandbox(let value): try written(record.key.title) { try RecordWriter.text(value) }
    case .endpoint(let value): try written(record.key.title) { try RecordWriter.text(value) }
    case .host(let value): try written(record.key.title) { try RecordEncoder.text(value) }
    }
  }

  func text(_ event: NetworkEvent) throws(NetworkError) -> String {
    try written("event \(event.action)") { try RecordWriter.text(event) }
  }

  /// Decodes a record.
  ///
  /// - Parameters:
  ///   - key: The key in its row.
  ///   - row: The row.
  ///   - column: The column of its text.
  ///   - file: The file, for errors.
  /// - Throws: `.damagedRecord`, also for a record whose key differs from its row's.
  func record(
    _ key: StoreRecord.Key, _ row: SQLiteStatement, _ column: CInt, _ file: FilePath
  ) throws(NetworkError) -> StoreRecord {
    let record: StoreRecord
    if let scanned = scan(key.kind, row, column) {
      record = scanned
    } else {
      record = try decode(key, row.text(column), file)
    }
    guard record.key == key else {
      throw Damage.error(file, "the row of the \(key.title) holds the \(record.key.title)")
    }
    return record
  }

  /// The fast path for the numerous kinds, in this library's own form; nil for any other text.
  private func scan(_ kind: StoreRecord.Key.Kind, _ row: SQLiteStatement, _ column: CInt) -> StoreRecord? {
    guard kind == .endpoint || kind == .sandbox else { return nil }
    scanner.begin { row.copy(column, into: &$0) }
    return kind == .endpoint ? Endpoint(&scanner).map { .endpoint($0) } : SandboxRecord(&scanner).map { .sandbox($0) }
  }

  private func decode(
    _ key: StoreRecord.Key, _ text: String, _ file: FilePath
  ) throws(NetworkError) -> StoreRecord {
    switch key.kind {
    case .network: .network(try decode(text, key.title, file))
    case .pool: .pool(try decode(text, key.title, file))
    case .sandbox: .sandbox(try decode(text, key.title, file))
    case .endpoint: .endpoint(try decode(text, key.title, file))
    case .host: .host(try decode(text, key.title, file))
    }
  }

  func event(_ number: Int64, _ text: String, _ file: FilePath) throws(NetworkError) -> NetworkEvent {
    try decode(text, "event \(number)", file)
  }

  /// The key of a row.
  static func key(kind: String, id: String, _ file: FilePath) throws(NetworkError) -> StoreRecord.Key {
    guard let kind = StoreRecord.Key.Kind(rawValue: kind) else {
      let known = StoreRecord.Key.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw Damage.error(file, "the record \(quoted(id)) is of the unknown kind \(quoted(kind)); known are \(known)")
    }
    return StoreRecord.Key(kind, id)
  }

  private func written(
    _ title: @autoclosure () -> String, _ text: () throws -> String
  ) throws(NetworkError) -> String {
    do { return try text() } catch {
      throw NetworkError(.invalidValue, operation: "encode the \(title())", reason: "it has no JSON form: \(error)")
    }
  }

  private func decode<Value: Decodable>(_ text: String, _ title: @autoclosure () -> String, _ file: FilePath)
    throws(NetworkError) -> Value
  {
    do { return try decoder.decode(Value.self, from: Data(text.utf8)) } catch {
      throw Damage.error(file, "the \(title()) cannot be decoded: \(error)")
    }
  }
}

extension StoreRecord.Key {
  /// The form in messages: `endpoint "4fd…"`.
  var title: String { "\(kind.rawValue) \(quoted(id))" }
}
