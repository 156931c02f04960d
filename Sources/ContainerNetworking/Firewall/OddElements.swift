import Netlink
import NetworkPrimitives

/// Elements of our tables that are not as the record says.
struct OddElements {
  /// How many are not there that were to be at each of several moments.
  private(set) var missing = 0
  /// How many of those another record has.
  private(set) var taken = 0
  /// How many of ours or of nobody's are there that were not to be at any.
  private(set) var strange = 0

  var isEmpty: Bool { missing == 0 && taken == 0 && strange == 0 }

  /// - Parameter moments: What was to be there, and what might be.
  init(_ content: FirewallContent, _ moments: [(wanted: FirewallElements, open: FirewallElements)]) {
    let steady = moments.map { $0.wanted.bySet }
    let open = moments.map { $0.open.bySet }
    for set in FirewallSets.all {
      let has = content.has(set.name)
      let lost = (steady[0][set.name] ?? []).filter { element in
        !has.contains(element) && steady.dropFirst().allSatisfy { $0[set.name]?.contains(element) == true }
      }
      let others = lost.isEmpty ? [] : content.others(in: set.name)
      let keySize = set.keySize
      taken += lost.count { others.contains(Array($0.prefix(keySize))) }
      missing += lost.count { !others.contains(Array($0.prefix(keySize))) }
      // What all have in common another may need. What nobody's tables of an older version have may be another's.
      var known = content.own[set.name] ?? []
      if !content.isOlder { known += content.nobodys[set.name] ?? [] }
      // Of what is being changed, the former value may be there yet.
      let changing = open.reduce(into: Set<[UInt8]>()) { keys, moment in
        for element in moment[set.name] ?? [] { keys.insert(Array(element.prefix(keySize))) }
      }
      strange += known.count { element in
        let identity = element.identity
        return !steady.contains { $0[set.name]?.contains(identity) == true }
          && !changing.contains(Array(identity.prefix(keySize)))
      }
    }
  }

  /// In words.
  var described: [String] {
    var parts: [String] = []
    if missing > 0 { parts.append("\(missing) elements missing") }
    if taken > 0 { parts.append("\(taken) elements that another record on this host has") }
    if strange > 0 { parts.append("\(strange) elements too many") }
    return parts
  }
}
