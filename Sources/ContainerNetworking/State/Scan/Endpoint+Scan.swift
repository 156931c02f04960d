import Netlink
import NetworkPrimitives

/// Reads fields in the order of their declaration; add every new field here. (Foundation's decoder reads all other
/// texts, correctly but slowly.)
extension Endpoint {
  /// - Returns: nil for a text that needs Foundation's decoder.
  package init?(_ scanner: inout RecordScanner) {
    guard scanner.open(),
      scanner.field("id"), let id = scanner.text(),
      scanner.field("networkID"), let networkID = scanner.text(.network),
      scanner.field("networkName"), let networkName = scanner.text(.networkName),
      scanner.field("container"), let container = scanner.text(.container),
      scanner.field("sandboxID"), let sandboxID = scanner.text(.sandbox),
      scanner.field("interface"), let interface = scanner.interface()
    else { return nil }
    self.id = id
    self.networkID = networkID
    self.networkName = networkName
    self.container = container
    self.sandboxID = sandboxID
    self.interface = interface
    if scanner.field("hostInterface") {
      guard let name = scanner.interface() else { return nil }
      hostInterface = name
    }
    if scanner.field("bridge") {
      guard let name = scanner.interface() else { return nil }
      bridge = name
    }
    guard scanner.field("macAddress"), let macAddress = scanner.hardwareAddress(),
      scanner.field("addresses"), let addresses = scanner.list({ $0.interfaceAddress() }),
      scanner.field("staticAddresses"), let staticAddresses = scanner.list({ $0.address() })
    else { return nil }
    self.macAddress = macAddress
    self.addresses = addresses
    self.staticAddresses = staticAddresses
    if scanner.field("otherAddresses") {
      guard let others = scanner.list({ $0.address() }) else { return nil }
      otherAddresses = others
    }
    if scanner.field("otherPorts") {
      guard let others = scanner.list({ $0.interface() }) else { return nil }
      otherPorts = others
    }
    if scanner.field("otherBridges") {
      guard let others = scanner.list({ $0.interface() }) else { return nil }
      otherBridges = others
    }
    guard scanner.field("gateways"), let gateways = scanner.list({ $0.address() }),
      scanner.field("gatewayPriority"), let gatewayPriority = scanner.number(Int.self),
      scanner.field("aliases"), let aliases = scanner.list({ $0.text() })
    else { return nil }
    self.gateways = gateways
    self.gatewayPriority = gatewayPriority
    self.aliases = aliases
    if scanner.field("labels") {
      guard let own = scanner.texts() else { return nil }
      labels = own
    }
    if scanner.field("announcesToAll") {
      guard let isToBe = scanner.truth() else { return nil }
      announcesToAll = isToBe
    }
    if scanner.field("forwarding") {
      guard let forwarding = scanner.list({ $0.text() }) else { return nil }
      self.forwarding = forwarding
    }
    guard scanner.field("ports"), let ports = scanner.list({ PublishedPort(&$0) }) else { return nil }
    self.ports = ports
    // A change of ports is short, so its record is not scanned.
    guard scanner.field("phase"), let phase = scanner.value(Phase.self), scanner.field("owner"),
      let owner = scanner.text(.owner), scanner.close(), scanner.isAtEnd
    else { return nil }
    self.phase = phase
    self.owner = owner
  }
}

extension PublishedPort {
  init?(_ scanner: inout RecordScanner) {
    guard scanner.open() else { return nil }
    if scanner.field("hostAddress") {
      guard let address = scanner.address() else { return nil }
      hostAddress = address
    }
    guard scanner.field("hostPort"), let hostPort = scanner.number(UInt16.self),
      scanner.field("containerPort"), let containerPort = scanner.number(UInt16.self),
      scanner.field("transport"), let transport = scanner.text(),
      // Its decoder takes capitals, too.
      let transport = TransportProtocol(rawValue: transport),
      scanner.field("isEphemeral"), let isEphemeral = scanner.truth()
    else { return nil }
    self.hostPort = hostPort
    self.containerPort = containerPort
    self.transport = transport
    self.isEphemeral = isEphemeral
    if scanner.field("translated") {
      guard let addresses = scanner.list({ $0.address() }) else { return nil }
      translated = addresses
    }
    if scanner.field("forwarded") {
      guard let addresses = scanner.list({ $0.address() }) else { return nil }
      forwarded = addresses
    }
    guard scanner.close() else { return nil }
  }
}
