import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// The options of a bridge: `IFLA_BR_*`, by type, with the kernel's defaults.
struct SimulatedBridge: Hashable {
  private var times: [Int: UInt32] = [
    Int(IFLA_BR_FORWARD_DELAY): 1500, Int(IFLA_BR_HELLO_TIME): 200, Int(IFLA_BR_MAX_AGE): 2000,
    Int(IFLA_BR_AGEING_TIME): 30000, Int(IFLA_BR_STP_STATE): 0,
  ]
  private var numbers: [Int: UInt16] = [
    Int(IFLA_BR_PRIORITY): 32768, Int(IFLA_BR_GROUP_FWD_MASK): 0, Int(IFLA_BR_VLAN_DEFAULT_PVID): 1,
  ]
  private var switches: [Int: UInt8] = [Int(IFLA_BR_VLAN_FILTERING): 0, Int(IFLA_BR_MCAST_SNOOPING): 1]
  /// `BR_BOOLOPT_*`, a bit each.
  private var flags: UInt32 = 0

  func changed(by data: Attributes) throws(NetworkError) -> SimulatedBridge {
    var changed = self
    for attribute in data {
      if times[attribute.type] != nil { changed.times[attribute.type] = try attribute.integer() }
      if numbers[attribute.type] != nil { changed.numbers[attribute.type] = try attribute.integer() }
      if switches[attribute.type] != nil {
        changed.switches[attribute.type] = try attribute.integer(UInt8.self) == 0 ? 0 : 1
      }
      if attribute.type == Int(IFLA_BR_MULTI_BOOLOPT) {
        var reader = PayloadReader(attribute.payload)
        let (values, mask) = (try reader.read(UInt32.self), try reader.read(UInt32.self))
        changed.flags = changed.flags & ~mask | values & mask
      }
    }
    try changed.check(wasSpanningTree: times[Int(IFLA_BR_STP_STATE)] != 0)
    if changed.times[Int(IFLA_BR_STP_STATE)] != 0 {
      // Enabling the spanning tree clamps the delay to its range.
      let delay = changed.times[Int(IFLA_BR_FORWARD_DELAY), default: 1500]
      changed.times[Int(IFLA_BR_FORWARD_DELAY)] = min(max(delay, 200), 3000)
    }
    return changed
  }

  private func check(wasSpanningTree: Bool) throws(NetworkError) {
    func time(_ type: some BinaryInteger) -> UInt32 { times[Int(type)] ?? 0 }
    let isDelayBad = wasSpanningTree && !(200...3000).contains(time(IFLA_BR_FORWARD_DELAY))
    let isTimeBad = !(100...1000).contains(time(IFLA_BR_HELLO_TIME)) || !(600...4000).contains(time(IFLA_BR_MAX_AGE))
    if isDelayBad || isTimeBad { throw refusal(.rangeExceeded) }
    if numbers[Int(IFLA_BR_GROUP_FWD_MASK), default: 0] & 7 != 0 { throw refusal(.invalidArgument) }
    if numbers[Int(IFLA_BR_VLAN_DEFAULT_PVID), default: 0] > 4094 { throw refusal(.invalidArgument) }
  }

  func write(to data: inout PayloadWriter) {
    for (type, value) in times.sorted(by: { $0.key < $1.key }) { data.attribute(type, value) }
    for (type, value) in numbers.sorted(by: { $0.key < $1.key }) { data.attribute(type, value) }
    for (type, value) in switches.sorted(by: { $0.key < $1.key }) { data.attribute(type, value) }
    var multi = PayloadWriter()
    multi.append(flags)
    multi.append(UInt32(1) << BR_BOOLOPT_MAX.rawValue - 1)
    data.attribute(Int(IFLA_BR_MULTI_BOOLOPT), bytes: multi.bytes)
  }
}

/// The options of a bridge port: `IFLA_BRPORT_*`, with the kernel's defaults for a veth.
struct SimulatedPort: Hashable {
  private var switches: [Int: UInt8] = [
    Int(IFLA_BRPORT_MODE): 0, Int(IFLA_BRPORT_ISOLATED): 0, Int(IFLA_BRPORT_LEARNING): 1,
    Int(IFLA_BRPORT_UNICAST_FLOOD): 1, Int(IFLA_BRPORT_NEIGH_SUPPRESS): 0,
  ]
  private var cost: UInt32 = 2
  private var priority: UInt16 = 32

  func changed(by data: Attributes) throws(NetworkError) -> SimulatedPort {
    var changed = self
    for attribute in data {
      switch attribute.type {
      case Int(IFLA_BRPORT_COST): changed.cost = try attribute.integer()
      case Int(IFLA_BRPORT_PRIORITY): changed.priority = try attribute.integer()
      default:
        guard switches[attribute.type] != nil else { continue }
        changed.switches[attribute.type] = try attribute.integer(UInt8.self) == 0 ? 0 : 1
      }
    }
    guard (1...65535).contains(changed.cost), changed.priority < 64 else { throw refusal(.rangeExceeded) }
    return changed
  }

  func write(to data: inout PayloadWriter) {
    for (type, value) in switches.sorted(by: { $0.key < $1.key }) { data.attribute(type, value) }
    data.attribute(Int(IFLA_BRPORT_COST), cost)
    data.attribute(Int(IFLA_BRPORT_PRIORITY), priority)
  }
}

extension SimulatedState {
  /// Whether a parent permits a macvlan of that mode: one in passthru mode must be alone.
  func check(mode: UInt32, on parent: LinkReference) throws(NetworkError) {
    guard [1, 2, 4, 8, 16].contains(mode) else { throw refusal(.invalidArgument) }
    let others = namespaces.values.flatMap(\.links.values).filter { $0.kind == "macvlan" && $0.peer == parent }
    let isTaken = others.contains { $0.mode == 8 } || mode == 8 && !others.isEmpty
    if isTaken { throw refusal(.invalidArgument) }
  }
}
