extension Duration {
  /// Whole milliseconds within the range of poll(2), rounded up so that a wait is never shorter than asked for.
  package var milliseconds: Int32 {
    let (seconds, attoseconds) = components
    guard seconds > -2_000_000 else { return Int32(-2_000_000_000) }
    guard seconds < 2_000_000 else { return Int32(2_000_000_000) }
    let rest =
      attoseconds > 0
      ? (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000 : attoseconds / 1_000_000_000_000_000
    return Int32(seconds * 1_000 + rest)
  }
}
