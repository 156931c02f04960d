import Netlink
import NetworkPrimitives

/// The differences between our tables' elements and the record.
struct OddElements {
  /// The number of elements that are missing although wanted at each of several moments.
  private(set) var missing = 0
  /// The number of those that another record holds.
  private(set) var taken = 0
  /// The number of our or unowned elements that are present although wanted at no moment.
  private(set) var strange = 0

  var isEmpty: Bool { missing == 0 && taken == 0 && strange == 0 }

  /// - Parameter moments: The elements wanted at each moment, and those in transition.
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
      // Shared elements may be needed by another record. Unowned ones in tables of an older version may be another
      // record's.
      var known = content.own[set.name] ?? []
      if !content.isOlder { known += content.nobodys[set.name] ?? [] }
      // An element in transition may still have its former value.
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
    if taken > 0 { parts.append("\(taken) elements of another record on this host") }
    if strange > 0 { parts.append("\(strange) elements too many") }
    return parts
  }
}
