import AdapterSupport
import ArgumentParser
import ContainerNetworking
import Glibc

struct Events: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "Print the events of networks, oldest first, each with its number.",
    discussion: "The last 1,000 are kept.")

  @Option(help: .init("Print only events after this number.", valueName: "number"))
  var since: UInt64 = 0
  @Flag(name: .shortAndLong, help: "Print new events, too, until interrupted.")
  var follow = false
  @Flag(help: "Print one JSON object per line.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let controller = try await global.controller()
    guard follow else {
      for (number, event) in try await controller.events(after: since) { try show(number, event) }
      return
    }
    for try await element in controller.eventStream(after: since) {
      try show(element.number, element.event)
      fflush(nil)
    }
  }

  private func show(_ number: UInt64, _ event: NetworkEvent) throws {
    print(json ? try JSON.line(Row(number, event)) : "\(number) \(event)")
  }

  private struct Row: Encodable {
    let number: UInt64
    let time, action, id, name: String
    let container: String?
    let ports: [String]?

    private enum CodingKeys: String, CodingKey {
      case number = "Number", time = "Time", action = "Action", id = "ID", name = "Name",
        container = "Container", ports = "Ports"
    }

    init(_ number: UInt64, _ event: NetworkEvent) {
      self.number = number
      time = event.time.description
      action = event.action.rawValue
      id = event.networkID
      name = event.network
      container = event.container
      ports = event.ports?.map(\.description)
    }
  }
}
