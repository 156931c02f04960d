/// The command line of a benchmark: options `--name VALUE` and flags `--name`, in any order.
public struct Arguments: Sendable {
  private let list: [String]

  /// - Parameter list: Without the program's name.
  public init(_ list: [String] = Array(CommandLine.arguments.dropFirst())) { self.list = list }

  /// The value after the option.
  public subscript(_ name: String) -> String? {
    list.firstIndex(of: name).flatMap { $0 + 1 < list.count ? list[$0 + 1] : nil }
  }

  /// The number after the option.
  public func number(_ name: String, default value: Int) -> Int { self[name].flatMap { Int($0) } ?? value }

  /// The numbers after the option, separated by commas.
  public func numbers(_ name: String, default values: [Int]) -> [Int] {
    self[name].map { $0.split(separator: ",").compactMap { Int($0) } } ?? values
  }

  /// Whether the flag is present.
  public func has(_ name: String) -> Bool { list.contains(name) }
}
