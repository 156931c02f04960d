import ContainerNetworking
import Playground

// Five containers in five modes, and their reachability: the documentation's claims against the observed results.

/// One line of the table.
struct Check {
  var from: String
  var to: String
  var isExpected: Bool
  var probe: () throws -> Bool
}

func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

// Without arguments: the outside is part of what is shown, so there is no --host here.
await Playground.run([]) { world, controller in
  let web = try await controller.attach("web", to: .bridge, options: AttachOptions(ports: [PortMapping("8080:80")]))
  let monitor = try await controller.attach("monitor", to: .host)
  let alone = try await controller.attach("alone", to: .none)
  let sidecar = try await controller.attach("sidecar", to: .container("web"))
  try await controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("192.168.50.0/24")))
  let database = try await controller.attach("database", to: .network("blue"))
  let server = try world.serve("hello", port: 80, in: web.namespace)

  let ping = { (from: String, sandbox: NetworkNamespace, to: String, address: String, isExpected: Bool) in
    Check(from: from, to: to, isExpected: isExpected) {
      try world.pings(address, from: sandbox, within: isExpected ? 4 : 1)
    }
  }
  let http = { (from: String, sandbox: NetworkNamespace, address: String, port: UInt16, isExpected: Bool) in
    Check(from: from, to: "web, tcp \(address):\(port)", isExpected: isExpected) {
      try world.fetch(address, port, from: sandbox) == "hello"
    }
  }
  let host = Playground.hostAddress
  let outside = Playground.outsideAddress
  let checks = [
    ping("web (bridge)", web.namespace, "gateway", "172.17.0.1", true),
    ping("web (bridge)", web.namespace, "host", host, true),
    ping("web (bridge)", web.namespace, "outside", outside, true),
    ping("web (bridge)", web.namespace, "database", "192.168.50.2", false),
    http("web (bridge)", web.namespace, host, 8080, true),
    ping("monitor (host)", monitor.namespace, "web", "172.17.0.2", true),
    ping("monitor (host)", monitor.namespace, "outside", outside, true),
    http("monitor (host)", monitor.namespace, "127.0.0.1", 8080, true),
    ping("alone (none)", alone.namespace, "itself", "127.0.0.1", true),
    ping("alone (none)", alone.namespace, "host", host, false),
    http("sidecar (container:web)", sidecar.namespace, "127.0.0.1", 80, true),
    ping("sidecar (container:web)", sidecar.namespace, "outside", outside, true),
    ping("database (blue)", database.namespace, "gateway", "192.168.50.1", true),
    ping("database (blue)", database.namespace, "outside", outside, true),
    ping("database (blue)", database.namespace, "web", "172.17.0.2", false),
    http("database (blue)", database.namespace, host, 8080, true),
    http("outside", world.outside, host, 8080, true),
    ping("outside", world.outside, "web", "172.17.0.2", false),
  ]

  print(pad("from", 26) + pad("to", 30) + pad("expected", 12) + "seen")
  var wrong = 0
  for check in checks {
    let isSeen = try check.probe()
    if isSeen != check.isExpected { wrong += 1 }
    print(
      pad(check.from, 26) + pad(check.to, 30) + pad(check.isExpected ? "reaches" : "-", 12) + (isSeen ? "reaches" : "-")
        + (isSeen == check.isExpected ? "" : "   WRONG"))
  }

  server.stop()
  try await controller.removeAll()
  let left = try world.host.links.list().map(\.name).joined(separator: " ")
  print("\n\(checks.count - wrong) of \(checks.count) as documented; links left on the host: \(left)")
  guard wrong == 0, left == "lo eth0" else {
    throw NetworkError(.refused, operation: "compare the table", reason: "it is not as documented")
  }
}
