import BenchmarkKit
import ContainerNetworking

/// A program that attaches containers to a network of one bridge, each with one published port, and detaches them.
/// Containers are numbered; the namespace of each is created before its turn, without being measured.
@MainActor protocol Contender: AnyObject {
  /// Its name in the tables.
  var who: Contestant { get }
  /// The counts of containers that are there while it is measured, in ascending order.
  var counts: [Int] { get }
  /// How many attaches and detaches are measured at each.
  var rounds: Int { get }
  /// Whether making a network is a step of its own.
  var makesNetworks: Bool { get }
  /// Microseconds of processor time that it has used so far.
  var processorTime: Double { get }

  /// Makes what is needed before the first attach.
  func prepare() async throws
  /// What an attach is given.
  func makeContainer(_ number: Int) async throws
  /// Puts a container on the network.
  func attach(_ number: Int) async throws
  /// Puts several there at the same time.
  func attachAtOnce(_ numbers: [Int]) async throws
  /// Takes it off.
  func detach(_ number: Int) async throws
  /// Makes one more network, without containers. What it needs that is not part of the making is there before.
  func createNetwork(_ number: Int) async throws
  /// Removes it.
  func removeNetwork(_ number: Int) async throws
  /// Ends what ``prepare()`` began.
  func finish() async
}

extension Contender {
  var makesNetworks: Bool { false }
  var processorTime: Double { ProcessorTime.own }
  func prepare() async throws {}
  func createNetwork(_ number: Int) async throws {}
  func removeNetwork(_ number: Int) async throws {}
  func finish() async {}
}

/// The addresses and ports that everybody uses for a container.
struct Numbering {
  /// Of 10.88.0.0/16; the gateway is the first.
  static func address(_ number: Int) -> String { "10.88.\((number + 1) >> 8).\((number + 1) & 255)" }
  static func port(_ number: Int) -> Int { 10_000 + number }
}
