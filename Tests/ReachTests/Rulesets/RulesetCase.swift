import ContainerNetworking

/// A network, an endpoint or a port whose elements the page shows.
struct RulesetCase: Sendable {
  var title: String
  var text: String
  /// The case that only the difference to is shown; nil to show everything.
  var base: String?
  var make: @Sendable (NetworkController) async throws -> Void

  /// A network `net` with the bridge `br-net`, 10.60.0.0/24 and fd00:60::/64; then a container `web` with ports; nil for
  /// none.
  static func network(
    _ title: String, _ text: String, from base: String?, subnets: [String] = ["10.60.0.0/24", "fd00:60::/64"],
    policy: NetworkPolicy = NetworkPolicy(), isInternal: Bool = false, ports: [String]? = ["8080:80"]
  ) -> RulesetCase {
    RulesetCase(title: title, text: text, base: base) { controller in
      try await create(on: controller, "net", subnets, policy, isInternal)
      guard let ports else { return }
      try await controller.attach(
        "web", to: .network("net"), options: AttachOptions(ports: try ports.map { try PortMapping($0) }))
    }
  }

  private static func create(
    on controller: NetworkController, _ name: String, _ subnets: [String], _ policy: NetworkPolicy = NetworkPolicy(),
    _ isInternal: Bool = false
  ) async throws {
    var options = NetworkOptions(isInternal: isInternal, bridge: try InterfaceName("br-\(name)"), policy: policy)
    options.subnets = try subnets.map { try Subnet($0) }
    try await controller.createNetwork(name, options: options)
  }

  static let networks: [RulesetCase] = [
    .network(
      "A network of IPv4", "`createNetwork(\"net\", …)` with the subnet 10.60.0.0/24; the host has one link, `eth0`.",
      from: nil, subnets: ["10.60.0.0/24"], ports: nil),
    .network(
      "A network of both families", "With the subnet fd00:60::/64 besides.", from: "A network of IPv4", ports: nil),
    .network(
      "A container", "`attach(\"web\", to: .network(\"net\"))`.", from: "A network of both families", ports: []),
    .network("A published port", "`AttachOptions(ports: [PortMapping(\"8080:80\")])`.", from: "A container"),
  ]

  static let policies: [RulesetCase] = {
    let base = "A published port"
    let both = { (mode: NetworkPolicy.GatewayMode) in NetworkPolicy(gatewayModeIPv4: mode, gatewayModeIPv6: mode) }
    return [
      .network(
        "Without masquerade", "`NetworkPolicy(masquerades: false)`.", from: base,
        policy: NetworkPolicy(masquerades: false)),
      .network(
        "A source address", "`NetworkPolicy(sourceAddressIPv4: 203.0.113.1)`.", from: base,
        policy: NetworkPolicy(sourceAddressIPv4: .v4(IPv4Address(203, 0, 113, 1)))),
      .network(
        "Containers kept apart", "`NetworkPolicy(allowsContainerTraffic: false)`.", from: base,
        policy: NetworkPolicy(allowsContainerTraffic: false)),
      .network(
        "nat-unprotected", "`NetworkPolicy(gatewayModeIPv4: .natUnprotected, gatewayModeIPv6: .natUnprotected)`.",
        from: base, policy: both(.natUnprotected)),
      .network(
        "routed", "`NetworkPolicy(gatewayModeIPv4: .routed, gatewayModeIPv6: .routed)`.", from: base,
        policy: both(.routed)),
      .network(
        "A trusted interface", "`NetworkPolicy(trustedInterfaces: [eth0])`.", from: base,
        policy: NetworkPolicy(trustedInterfaces: (try? InterfaceName("eth0")).map { [$0] })),
      .network(
        "A host binding address", "`NetworkPolicy(hostBindingAddress: 203.0.113.1)`.", from: base,
        policy: NetworkPolicy(hostBindingAddress: .v4(IPv4Address(203, 0, 113, 1)))),
      .network(
        "internal", "`NetworkOptions(isInternal: true)`; ports are not published.", from: base, isInternal: true),
      .network(
        "internal and isolated",
        "`NetworkPolicy(gatewayModeIPv4: .isolated, gatewayModeIPv6: .isolated)` of an internal network.",
        from: "internal", policy: both(.isolated), isInternal: true),
    ]
  }()

  static let ports: [RulesetCase] = {
    let mappings: [(String, String)] = [
      (
        "53:53/udp",
        "By UDP. What was tracked of it before is forgotten, see [Architecture.md](Architecture.md#published-ports)."
      ),
      ("8000-8002:80-82", "A range: an element for each."),
      ("203.0.113.1:8080:80", "On one address of the host."), ("[2001:db8::1]:8080:80", "On one IPv6 address."),
      ("0.0.0.0:8080:80", "On all addresses, by IPv4 alone."),
      (
        "127.0.0.1:8080:80",
        "For the host itself: the chain `output` finds it there. A packet from a wire does not get so far: `guard`."
      ),
    ]
    return mappings.map { mapping, text in
      .network("`\(mapping)`", text, from: "A container", ports: [mapping])
    } + [
      RulesetCase(
        title: "A second network",
        text: "`connect(\"web\", to: \"more\")`: what `more`, its bridge `br-more`, and the second endpoint are.",
        base: "A published port"
      ) { controller in
        try await create(on: controller, "net", ["10.60.0.0/24", "fd00:60::/64"])
        try await create(on: controller, "more", ["10.61.0.0/24"])
        try await controller.attach(
          "web", to: .network("net"), options: AttachOptions(ports: [try PortMapping("8080:80")]))
        try await controller.connect("web", to: "more")
      }
    ]
  }()

  static let all = networks + policies + ports
}
