import SystemPackage

/// The run as a table, as JSON and as a chart.
struct Report {
  var measurements: [Measurement] = []
  var figures: [Extras.Figure] = []
  var remarks: [String] = []

  private func library(_ count: Int) -> Measurement? {
    measurements.first { $0.count == count && $0.contender == "ContainerNetworking" }
  }

  var table: String {
    var lines = [
      "| with containers | who | attach, median µs | 99th pct. | × ours | detach, median µs | 99th pct. | × ours | CPU µs per attach |",
      "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measurements.sorted(by: { ($0.count, $0.medianAttach) < ($1.count, $1.medianAttach) }) {
      let ours = library(one.count)
      let cells = [
        "\(one.count)", one.contender, whole(one.medianAttach), whole(one.attach.share(0.99)),
        ratio(one.medianAttach, ours?.medianAttach), whole(one.medianDetach), whole(one.detach.share(0.99)),
        ratio(one.medianDetach, ours?.medianDetach), whole(one.processorPerAttach),
      ]
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    if !figures.isEmpty { lines += ["", "| ContainerNetworking alone | |", "|---|---|"] }
    for figure in figures { lines.append("| \(figure.name) | \(whole(figure.value)) \(figure.unit) |") }
    return (lines + remarks.map { "\n\($0)" }).joined(separator: "\n")
  }

  var json: String {
    let measured = measurements.map { one in
      """
      {"contender":"\(one.contender)","containers":\(one.count),"attach":\(numbers(one.attach)),\
      "detach":\(numbers(one.detach)),"processorPerAttach":\(one.attachProcessor.isNaN ? "null" : "\(tenths(one.processorPerAttach))")}
      """
    }
    let figures = figures.map { "{\"name\":\"\($0.name)\",\"value\":\(tenths($0.value)),\"unit\":\"\($0.unit)\"}" }
    return """
      {"unit":"microseconds","measurements":[
      \(measured.joined(separator: ",\n"))
      ],"figures":[
      \(figures.joined(separator: ",\n"))
      ]}

      """
  }

  private func whole(_ value: Double) -> String { value.isNaN ? "–" : "\(Int(value.rounded()))" }
  private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
  private func numbers(_ list: [Double]) -> String { "[" + list.map { "\(tenths($0))" }.joined(separator: ",") + "]" }
  private func ratio(_ value: Double, _ ours: Double?) -> String {
    guard let ours, ours > 0 else { return "–" }
    let ratio = value / ours
    return ratio < 10 ? "\(tenths(ratio))" : whole(ratio)
  }

  static func write(_ text: String, to path: String) throws {
    let file = try FileDescriptor.open(
      FilePath(path), .writeOnly, options: [.create, .truncate, .closeOnExec],
      permissions: [.ownerReadWrite, .groupRead, .otherRead])
    try file.closeAfter { _ = try file.writeAll(text.utf8) }
  }
}
