import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// When to colour.
enum ColorChoice: String, ExpressibleByArgument, CaseIterable {
  case auto, always, never

  /// The colour option of a command line, for output before it is parsed, or if it cannot be. Words after `--` belong
  /// to another program.
  static func asked(for arguments: [String]) -> ColorChoice {
    let own = Array(arguments.prefix { $0 != "--" })
    let values = own.enumerated().compactMap { index, word in
      word == "--color" ? own.dropFirst(index + 1).first : word.hasPrefix("--color=") ? String(word.dropFirst(8)) : nil
    }
    return values.last.flatMap(ColorChoice.init(rawValue:)) ?? .auto
  }
}

/// The capabilities of a standard stream.
struct Terminal {
  private let isColored: Bool

  init(_ choice: ColorChoice, _ stream: FileDescriptor = .standardOutput) {
    switch choice {
    case .always: isColored = true
    case .never: isColored = false
    case .auto:
      // https://no-color.org: set, and not empty.
      isColored = Self.isTerminal(stream) && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
    }
  }

  static func isTerminal(_ stream: FileDescriptor) -> Bool { isatty(stream.rawValue) == 1 }

  func bold(_ text: String) -> String { styled(text, "1") }
  func red(_ text: String) -> String { styled(text, "1;31") }
  func yellow(_ text: String) -> String { styled(text, "1;33") }
  func green(_ text: String) -> String { styled(text, "32") }

  /// Adds Select Graphic Rendition (ECMA-48, 8.3.117).
  private func styled(_ text: String, _ code: String) -> String {
    isColored ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}
