import Glibc

/// A point in time in records and events.
public struct Timestamp: Hashable, Comparable, Sendable, Codable {
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  public var nanoseconds: Int64

  /// A point in time.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The host's clock (`CLOCK_REALTIME`).
  public static func now() -> Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// Compares times.
  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Decodes nanoseconds.
  public init(from decoder: any Decoder) throws {
    nanoseconds = try decoder.singleValueContainer().decode(Int64.self)
  }

  /// Encodes nanoseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(nanoseconds)
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC, to the nanosecond: `2026-01-31T12:00:00.000000000Z`.
  public var description: String {
    let seconds = nanoseconds.quotient(flooredBy: 1_000_000_000)
    let days = seconds.quotient(flooredBy: 86_400)
    let (year, month, day) = Self.date(ofDay: days)
    let rest = seconds - days * 86_400
    let pad = { (value: Int64, width: Int) in
      let text = "\(value)"
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(rest / 3600, 2)):\(pad(rest / 60 % 60, 2)):"
      + "\(pad(rest % 60, 2)).\(pad(nanoseconds - seconds * 1_000_000_000, 9))Z"
  }

  /// The civil date of a day counted from 1970-01-01. In years that start on 1 March the leap day comes last, and the
  /// lengths of the months repeat every five (153 days).
  private static func date(ofDay day: Int64) -> (Int64, Int64, Int64) {
    let shifted = day + 719_468  // from 0000-03-01
    let era = shifted.quotient(flooredBy: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let civil = month < 10 ? month + 3 : month - 9
    return (yearOfEra + era * 400 + (civil <= 2 ? 1 : 0), civil, dayOfYear - (153 * month + 2) / 5 + 1)
  }
}

extension Int64 {
  fileprivate func quotient(flooredBy divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
