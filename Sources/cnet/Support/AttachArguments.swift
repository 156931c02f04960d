import ArgumentParser
import ContainerNetworking

/// A container's network options, for `run` and `attach`.
struct AttachArguments: ParsableArguments {
  @Option(
    name: [.customLong("network"), .customLong("net")],
    help: .init(
      "bridge, host, none, container:NAME or a network; or name=NETWORK,ip=IP,… The first is attached, further ones "
        + "are connected.",
      valueName: "mode"), completion: .custom(Known.modes))
  var networks: [String] = []
  @Option(
    name: [.customShort("p", allowingJoined: true), .customLong("publish")],
    help: .init("A port to publish: [[IP:]HOST:]CONTAINER[/tcp|udp|sctp].", valueName: "port"))
  var ports: [String] = []
  @OptionGroup(title: "Endpoint Options, of the First Network")
  var endpoint: EndpointArguments
  @OptionGroup(title: "Name Options")
  var names: NameArguments

  /// The published ports.
  func mappings() throws(NetworkError) -> [PortMapping] { try PortMapping.list(ports) }

  /// Attaches the container, and connects it to the other networks. A failure leaves nothing.
  ///
  /// - Parameter more: Further ports to publish.
  func attach(
    _ container: String, with controller: NetworkController, namespace: NetworkNamespace? = nil,
    ports more: [PortMapping] = []
  ) async throws(NetworkError) -> Sandbox {
    var requests = try requests()
    if case .container(let donor) = requests[0].mode {
      requests[0].mode = .container(try await containerName(donor, controller))
    }
    let options = AttachOptions(
      ports: try mappings() + more, endpoint: requests[0].options, names: try names.options())
    let sandbox = try await controller.attach(
      container, to: requests[0].mode, options: options, namespace: namespace)
    for warning in sandbox.warnings { Failure.warn(warning) }
    guard requests.count > 1 else { return sandbox }
    do throws(NetworkError) {
      for request in requests.dropFirst() {
        try await controller.connect(container, to: "\(request.mode)", options: request.options)
      }
      return try await controller.sandbox(container)
    } catch {
      var failure = error
      do throws(NetworkError) { try await controller.detach(container) } catch { failure.causes.append(error) }
      throw failure
    }
  }

  /// The networks in order; the single options apply to the first.
  private func requests() throws(NetworkError) -> [Request] {
    var requests: [Request] = []
    for text in networks.isEmpty ? ["bridge"] : networks { requests.append(try Request(text)) }
    let single = try endpoint.options()
    if single != EndpointOptions() {
      guard requests[0].options == EndpointOptions() else {
        throw NetworkError(
          .conflictingOptions, operation: "read network \"\(networks[0])\"",
          reason: "it has options of its own, and others are given for the first network; write all of them in it")
      }
      requests[0].options = single
    }
    for request in requests.dropFirst() {
      guard case .container = request.mode else { continue }
      throw NetworkError(
        .conflictingOptions, operation: "read networks",
        reason: "\"\(request.mode)\" cannot be combined with another network; name it alone")
    }
    return requests
  }

  /// `br0`, or `name=br0,ip=192.168.50.9`.
  private struct Request {
    var mode: NetworkMode
    var options = EndpointOptions()

    init(_ text: String) throws(NetworkError) {
      let operation = "read network \"\(text)\""
      guard text.contains("=") else {
        guard !text.contains(",") else {
          throw NetworkError(
            .invalidValue, operation: operation,
            reason: "several networks are not separated by commas; give --network for each, as in --network "
              + text.split(separator: ",").joined(separator: " --network "))
        }
        mode = try NetworkMode(text)
        return
      }
      var name = ""
      var fields: [(String, String)] = []
      for part in text.split(separator: ",") {
        let halves = part.split(separator: "=", maxSplits: 1).map(String.init)
        guard halves.count == 2 else {
          throw NetworkError(
            .invalidValue, operation: operation, reason: "\"\(part)\" is not NAME=VALUE, as in name=br0,ip=192.168.50.9"
          )
        }
        if halves[0] == "name" { name = halves[1] } else { fields.append((halves[0], halves[1])) }
      }
      mode = try NetworkMode(name)
      options = try EndpointOptions(fields: fields, operation: operation)
    }
  }
}

/// A name for a container without one.
func randomName() -> String {
  let digits = String(UInt32.random(in: 0 ... .max), radix: 16)
  return "cn-" + String(repeating: "0", count: 8 - digits.count) + digits
}
