/// A document with parts that a program writes: each between two comments of its own, which stay.
///
///     <!-- made by make bench: machine -->
///     …
///     <!-- end of machine -->
public struct MarkedText: Sendable {
  /// The document.
  public private(set) var text: String

  /// Of a document's text.
  public init(_ text: String) { self.text = text }

  /// Puts new content between the comments of a part.
  ///
  /// - Returns: Whether the document has such a part, once and whole; nothing is changed otherwise.
  public mutating func replace(_ part: String, with content: String) -> Bool {
    let (begin, end) = ("<!-- made by make bench: \(part) -->\n", "<!-- end of \(part) -->")
    guard let start = text.firstRange(of: begin), let stop = text[start.upperBound...].firstRange(of: end),
      text[start.upperBound...].firstRange(of: begin) == nil
    else { return false }
    // A table needs an empty line before and after it.
    text.replaceSubrange(start.upperBound..<stop.lowerBound, with: "\n\(content)\n\n")
    return true
  }
}
