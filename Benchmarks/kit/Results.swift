public import FoundationEssentials

/// One run of the benchmark: the source of the documents.
public struct Results: Codable, Sendable {
  /// Where and when it ran.
  public var machine: Machine
  /// The measurements.
  public var measurements: [Measurement] = []
  /// The missing measurements, with reasons.
  public var remarks: [String] = []

  /// Nothing measured yet.
  public init(machine: Machine) { self.machine = machine }

  /// The results that a file has.
  public init(json: Data) throws { self = try JSONDecoder().decode(Results.self, from: json) }

  /// As a file has them: a line for each measurement, so that two runs can be compared line by line.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = { (value: any Encodable) in String(decoding: try encoder.encode(value), as: UTF8.self) }
    let lines = { (values: [any Encodable]) in try values.map { "\n" + (try text($0)) }.joined(separator: ",") }
    return """
      {"machine": \(try text(machine)),
      "measurements": [\(try lines(measurements))],
      "remarks": [\(try lines(remarks))]}

      """
  }

  /// The measurement of a contender, if there is one.
  public subscript(_ what: Quantity, _ who: Contestant, at size: Int, records records: Records? = nil) -> Measurement? {
    measurements.first { $0.what == what && $0.who == who && $0.size == size && $0.records == records }
  }

  /// The sizes that a quantity was measured at, ascending.
  public func sizes(of what: Quantity) -> [Int] {
    Set(measurements.filter { $0.what == what }.map(\.size)).sorted()
  }

  /// How many times longer one takes than another, by their medians.
  public func ratio(
    _ what: Quantity, _ who: Contestant, to other: Contestant, at size: Int, records: Records? = nil
  ) -> Double? {
    guard let one = self[what, who, at: size, records: records],
      let two = self[other == .floor ? what.ofFloor : what, other, at: size, records: records],
      two.median > 0
    else { return nil }
    return one.median / two.median
  }
}
