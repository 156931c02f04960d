import ContainerNetworking

/// Somebody who puts containers on a network of one bridge, each with one published port, and takes them off again.
/// Containers are numbered; the namespace of each is there before its turn, and its making is not measured.
@MainActor protocol Contender: AnyObject {
  /// What it is called in the table.
  var name: String { get }
  /// The counts of containers that are there while it is measured, in ascending order.
  var counts: [Int] { get }
  /// How many attaches and detaches are measured at each.
  var rounds: Int { get }
  /// Whether it does its work in programs that it starts.
  var startsPrograms: Bool { get }
  /// Whether the processor time of this process and its programs is all of it.
  var tellsProcessorTime: Bool { get }

  /// Makes what is needed before the first attach.
  func prepare() async throws
  /// What an attach is given.
  func makeContainer(_ number: Int) async throws
  /// Puts a container on the network.
  func attach(_ number: Int) async throws
  /// Takes it off.
  func detach(_ number: Int) async throws
  /// Ends what ``prepare()`` began.
  func finish() async
}

extension Contender {
  func prepare() async throws {}
  func finish() async {}
  var startsPrograms: Bool { true }
  var tellsProcessorTime: Bool { true }
}

/// The addresses and ports that everybody uses for a container.
struct Numbering {
  /// Of 10.88.0.0/16; the gateway is the first.
  static func address(_ number: Int) -> String { "10.88.\((number + 1) >> 8).\((number + 1) & 255)" }
  static func port(_ number: Int) -> Int { 10_000 + number }
}
