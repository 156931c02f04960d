package import ContainerNetworking

extension NetworkError {
  /// The error and its causes in one line, for engines that have room for a text alone.
  package var sentence: String {
    description.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: "; ")
  }
}
