import Netlink
import NetworkPrimitives

/// Another record with networks on the same host: that of another program with this library, or of another state
/// directory. Our firewall tables are the only source of its data.
public struct OtherRecord: Hashable, Sendable, CustomStringConvertible {
  /// Its id: ``NetworkController/recordID``. 00000000 for elements of a version that recorded no owner.
  public var id: String
  /// Its networks' bridges, by their names.
  public internal(set) var bridges: [String] = []
  /// The number of endpoints on its networks.
  public internal(set) var endpoints = 0
  /// The number of host ports that it publishes, counted for each family and address.
  public internal(set) var publishedPorts = 0

  /// The record in words.
  public var description: String {
    let names =
      bridges.isEmpty ? "no bridge" : "the bridge\(bridges.count == 1 ? "" : "s") \(bridges.joined(separator: ", "))"
    return "record \(id), which has \(names), \(endpoints) endpoint\(endpoints == 1 ? "" : "s") and "
      + "\(publishedPorts) published port\(publishedPorts == 1 ? "" : "s")"
  }
}

extension Engine {
  /// The other records of the host, by their ids.
  func otherRecords() throws(NetworkError) -> [OtherRecord] {
    var records: [RecordID: OtherRecord] = [:]
    for id in try firewall.others() { records[id] = OtherRecord(id: "\(id)") }
    if records.isEmpty { return [] }
    for (name, id) in try firewall.othersBridges() { records[id]?.bridges.append(name) }
    func count(
      _ set: NftSet, _ isMeant: (NftElement.Found) -> Bool, _ note: (inout OtherRecord) -> Void
    ) throws(NetworkError) {
      for element in try firewall.foundIfAny(in: set) where isMeant(element) {
        guard let id = element.comment.flatMap({ RecordID(comment: $0) }), var record = records[id] else { continue }
        note(&record)
        records[id] = record
      }
    }
    let all = { (_: NftElement.Found) in true }
    try count(FirewallSets.ports, all) { $0.endpoints += 1 }
    for family in AddressFamily.allCases {
      try count(FirewallSets.published.of(family), all) { $0.publishedPorts += 1 }
      // A mapping from an address to itself is a gateway's name server port.
      let length = family == .ipv4 ? 4 : 16
      let isPort = { (element: NftElement.Found) in
        !element.key.prefix(length).elementsEqual(element.identity.dropFirst(element.keyLength).prefix(length))
      }
      try count(FirewallSets.publishedAt.of(family), isPort) { $0.publishedPorts += 1 }
    }
    return records.values.map { record in
      var record = record
      record.bridges.sort()
      return record
    }.sorted { $0.id < $1.id }
  }
}
