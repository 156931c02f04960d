import CContainerNetworking
public import NetworkPrimitives

/// The options of a bridge (`IFLA_BR_*` in `linux/if_link.h`, `ip link … type bridge` in ip-link(8)). In a request, nil
/// leaves an option unchanged; in a result, nil means that the kernel lacks the option.
///
/// ip(8) writes the times as whole hundredths of a second: `forward_delay 1500` is 15 seconds. The kernel stores them
/// in ticks of its own clock, which may lose one hundredth.
public struct BridgeOptions: Hashable, Sendable {
  /// Whether it speaks the spanning tree protocol (`stp_state`); off in a new one.
  public var usesSpanningTree: Bool?
  /// How long a port listens, and then learns, before it forwards (`forward_delay`): 15 s in a new one, 2 to 30 s with
  /// spanning tree, any without.
  public var forwardDelay: Duration?
  /// The interval of a root bridge's hello messages (`hello_time`): 1 to 10 s, 2 s in a new one.
  public var helloTime: Duration?
  /// The lifetime of another bridge's messages (`max_age`): 6 to 40 s, 20 s in a new one.
  public var maximumAge: Duration?
  /// The time until an unused learned hardware address is forgotten (`ageing_time`): 300 s in a new one; 0 forgets at
  /// once, so that every frame is flooded.
  public var ageingTime: Duration?
  /// Rank in the election of a root; the lowest wins (`priority`): 32,768 in a new one.
  public var priority: UInt16?
  /// Whether ports belong to VLANs (`vlan_filtering`); needs `CONFIG_BRIDGE_VLAN_FILTERING`.
  public var filtersVLANs: Bool?
  /// The VLAN of untagged frames on a new port (`vlan_default_pvid`): 1 to 4094, 1 in a new one; 0 for none. Needs
  /// `CONFIG_BRIDGE_VLAN_FILTERING`.
  public var defaultVLAN: UInt16?
  /// Whether multicast goes only to ports that asked for it (`mcast_snooping`); on in a new one.
  public var snoopsMulticast: Bool?
  /// The reserved groups 01:80:c2:00:00:0x that are forwarded, a bit for each x (`group_fwd_mask`). Bits 0 to 2
  /// (spanning tree, pause, link aggregation) cannot be set.
  public var groupForwardMask: UInt16?
  /// Whether it learns senders' addresses from frames to those groups too (the inverse of `no_linklocal_learn`); on in
  /// a new one. Frames to 01:80:c2:00:00:0e pass no netfilter rule.
  public var learnsFromGroups: Bool?

  /// Options of nothing, to be filled in.
  public init() {}

  /// Reads `IFLA_INFO_DATA` of a bridge.
  init(_ attributes: Attributes) throws(NetworkError) {
    func duration(_ type: Int) throws(NetworkError) -> Duration? {
      guard let value = try attributes[type: type]?.integer(UInt32.self) else { return nil }
      return .milliseconds(Int64(value) * 10)
    }
    usesSpanningTree = try attributes[type: Int(IFLA_BR_STP_STATE)]?.integer(UInt32.self).isSet
    forwardDelay = try duration(Int(IFLA_BR_FORWARD_DELAY))
    helloTime = try duration(Int(IFLA_BR_HELLO_TIME))
    maximumAge = try duration(Int(IFLA_BR_MAX_AGE))
    ageingTime = try duration(Int(IFLA_BR_AGEING_TIME))
    priority = try attributes[type: Int(IFLA_BR_PRIORITY)]?.integer()
    defaultVLAN = try attributes[type: Int(IFLA_BR_VLAN_DEFAULT_PVID)]?.integer()
    // A kernel without VLANs reports the filter as off, but no default VLAN.
    if defaultVLAN != nil {
      filtersVLANs = try attributes[type: Int(IFLA_BR_VLAN_FILTERING)]?.integer(UInt8.self).isSet
    }
    snoopsMulticast = try attributes[type: Int(IFLA_BR_MCAST_SNOOPING)]?.integer(UInt8.self).isSet
    groupForwardMask = try attributes[type: Int(IFLA_BR_GROUP_FWD_MASK)]?.integer()
    if let switches = attributes[type: Int(IFLA_BR_MULTI_BOOLOPT)] {
      var reader = PayloadReader(switches.payload)  // struct br_boolopt_multi
      learnsFromGroups = try reader.read(UInt32.self) & Self.noGroupLearning == 0
    }
  }

  func write(to data: inout PayloadWriter) {
    let times = [
      (IFLA_BR_FORWARD_DELAY, forwardDelay), (IFLA_BR_HELLO_TIME, helloTime), (IFLA_BR_MAX_AGE, maximumAge),
      (IFLA_BR_AGEING_TIME, ageingTime),
    ]
    for case (let type, let time?) in times { data.attribute(Int(type), UInt32(clamping: time.hundredths)) }
    if let value = usesSpanningTree { data.attribute(Int(IFLA_BR_STP_STATE), UInt32(value ? 1 : 0)) }
    if let value = priority { data.attribute(Int(IFLA_BR_PRIORITY), value) }
    if let value = filtersVLANs { data.attribute(Int(IFLA_BR_VLAN_FILTERING), UInt8(value ? 1 : 0)) }
    if let value = defaultVLAN { data.attribute(Int(IFLA_BR_VLAN_DEFAULT_PVID), value) }
    if let value = snoopsMulticast { data.attribute(Int(IFLA_BR_MCAST_SNOOPING), UInt8(value ? 1 : 0)) }
    if let value = groupForwardMask { data.attribute(Int(IFLA_BR_GROUP_FWD_MASK), value) }
    if let learnsFromGroups {
      var switches = PayloadWriter()
      switches.append(learnsFromGroups ? 0 : Self.noGroupLearning)
      switches.append(Self.noGroupLearning)
      data.attribute(Int(IFLA_BR_MULTI_BOOLOPT), bytes: switches.bytes)
    }
  }

  private static let noGroupLearning = UInt32(1) << BR_BOOLOPT_NO_LL_LEARN.rawValue

  /// Checks for values that the kernel would refuse or misinterpret.
  ///
  /// - Throws: `.invalidValue` naming the first option that is wrong.
  public func validate() throws(NetworkError) {
    let operation = "check bridge options"
    let delays: ClosedRange<Duration> = usesSpanningTree == true ? .seconds(2) ... .seconds(30) : Self.anyTime
    let times = [
      ("forward delay", forwardDelay, delays), ("hello time", helloTime, .seconds(1) ... .seconds(10)),
      ("maximum age", maximumAge, .seconds(6) ... .seconds(40)), ("ageing time", ageingTime, Self.anyTime),
    ]
    for case (let name, let time?, let range) in times {
      guard range.contains(time) else {
        throw .invalid(
          operation,
          "the \(name) is \(time); it is \(range.lowerBound.components.seconds) to "
            + "\(range.upperBound.components.seconds) seconds")
      }
      guard time == .milliseconds(time.hundredths * 10) else {
        throw .invalid(operation, "the \(name) is \(time); the kernel counts whole hundredths of a second")
      }
    }
    if let defaultVLAN, defaultVLAN > 4094 {
      throw .invalid(operation, "the default VLAN is \(defaultVLAN); it is 1 to 4094, or 0 for none")
    }
    if let mask = groupForwardMask, mask & 7 != 0 {
      throw .invalid(
        operation,
        "the group forward mask is 0x\(String(mask, radix: 16)); bits 0 to 2, for 01:80:c2:00:00:00 to :02, cannot be set"
      )
    }
  }

  /// IEEE 802.1D's longest ageing time.
  private static let anyTime: ClosedRange<Duration> = .zero ... .seconds(1_000_000)
}

/// The options of a bridge port (`IFLA_BRPORT_*` in `linux/if_link.h`, `ip link … type bridge_slave`). In a change, nil
/// leaves an option unchanged.
public struct BridgePortOptions: Hashable, Sendable {
  /// Whether a frame may leave by its incoming port (`hairpin`); off on a new one.
  public var isHairpin: Bool?
  /// Whether it reaches only ports that are not isolated (`isolated`); off on a new one.
  public var isIsolated: Bool?
  /// Whether senders' addresses are learned (`learning`); on for a new one.
  public var learnsAddresses: Bool?
  /// Whether frames to unknown addresses are flooded to it (`flood`); on for a new one.
  public var floodsUnicast: Bool?
  /// Whether the bridge withholds from it announcements (gratuitous ARP, unsolicited neighbour advertisements), and
  /// requests that its own neighbour table answers. Frames from another port with this option are exempt
  /// (`neigh_suppress`, Linux 4.15). Off on a new one.
  public var suppressesNeighbors: Bool?
  /// Cost of the path through this port, for the spanning tree (`cost`): 1 to 65,535; on a new one by the link's speed.
  public var cost: UInt32?
  /// Rank among the ports, for the spanning tree; the lowest wins (`priority`): 0 to 63, 32 on a new one.
  public var priority: UInt16?

  /// Options of nothing, to be filled in.
  public init() {}

  /// Reads `IFLA_INFO_SLAVE_DATA` of a bridge's port.
  init(_ attributes: Attributes) throws(NetworkError) {
    isHairpin = try attributes[type: Int(IFLA_BRPORT_MODE)]?.integer(UInt8.self).isSet
    isIsolated = try attributes[type: Int(IFLA_BRPORT_ISOLATED)]?.integer(UInt8.self).isSet
    learnsAddresses = try attributes[type: Int(IFLA_BRPORT_LEARNING)]?.integer(UInt8.self).isSet
    floodsUnicast = try attributes[type: Int(IFLA_BRPORT_UNICAST_FLOOD)]?.integer(UInt8.self).isSet
    suppressesNeighbors = try attributes[type: Int(IFLA_BRPORT_NEIGH_SUPPRESS)]?.integer(UInt8.self).isSet
    cost = try attributes[type: Int(IFLA_BRPORT_COST)]?.integer()
    priority = try attributes[type: Int(IFLA_BRPORT_PRIORITY)]?.integer()
  }

  func write(to data: inout PayloadWriter) {
    data.setting(IFLA_BRPORT_MODE, isHairpin)
    data.setting(IFLA_BRPORT_ISOLATED, isIsolated)
    data.setting(IFLA_BRPORT_LEARNING, learnsAddresses)
    data.setting(IFLA_BRPORT_UNICAST_FLOOD, floodsUnicast)
    data.setting(IFLA_BRPORT_NEIGH_SUPPRESS, suppressesNeighbors)
    if let cost { data.attribute(Int(IFLA_BRPORT_COST), cost) }
    if let priority { data.attribute(Int(IFLA_BRPORT_PRIORITY), priority) }
  }

  /// Checks what the kernel would refuse.
  ///
  /// - Throws: `.invalidValue` naming the first option that is wrong.
  public func validate() throws(NetworkError) {
    if let cost, !(1...65_535).contains(cost) {
      throw .invalid("check bridge port options", "the cost is \(cost); it is 1 to 65535")
    }
    if let priority, priority > 63 {
      throw .invalid("check bridge port options", "the priority is \(priority); it is 0 to 63")
    }
  }
}

extension Duration {
  /// In hundredths of a second, the unit of the kernel's `clock_t` (`USER_HZ`), cut to whole ones.
  fileprivate var hundredths: Int64 {
    let (seconds, attoseconds) = components
    let (whole, isTooLong) = seconds.multipliedReportingOverflow(by: 100)
    return isTooLong ? .max / 100 : whole + attoseconds / 10_000_000_000_000_000
  }
}

extension PayloadWriter {
  /// Writes a port's boolean option, unless it is nil.
  fileprivate mutating func setting(_ type: some BinaryInteger, _ value: Bool?) {
    if let value { attribute(Int(type), UInt8(value ? 1 : 0)) }
  }
}

extension FixedWidthInteger {
  var isSet: Bool { self != 0 }
}
