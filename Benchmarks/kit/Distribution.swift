extension [Double] {
  /// The middle of the values; the mean of the middle two of an even number. Not a number without values.
  public var median: Double {
    let sorted = sorted()
    guard let upper = sorted.dropFirst(count / 2).first else { return .nan }
    return count.isMultiple(of: 2) ? (sorted[count / 2 - 1] + upper) / 2 : upper
  }

  /// The smallest value that at least this share of the values does not exceed (nearest rank): of fewer than 100 values the
  /// 99th percentile is the greatest. Not a number without values.
  ///
  /// - Parameter share: Above 0, to 1.
  public func percentile(_ share: Double) -> Double {
    guard !isEmpty else { return .nan }
    let rank = Int((share * Double(count)).rounded(.up))
    return sorted()[Swift.min(Swift.max(rank, 1), count) - 1]
  }
}
