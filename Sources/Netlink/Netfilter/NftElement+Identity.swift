import CContainerNetworking
package import NetworkPrimitives

/// Elements by what they are alone, for comparing thousands: key and value as the kernel holds them, behind each other.
extension NftElement {
  /// Of an element without a range or a timeout, in a set or a map of values.
  package var identity: [UInt8] {
    guard case .value(let value) = data else { return key.encoded }
    return key.encoded + value.encoded
  }

  /// The same of the elements in the messages of a dump.
  ///
  /// - Throws: `.malformedMessage`.
  package static func identities(_ messages: [NetlinkMessage]) throws(NetworkError) -> Set<[UInt8]> {
    var identities: Set<[UInt8]> = []
    for message in messages {
      var reader = PayloadReader(message.payload)
      try reader.skip(4)  // struct nfgenmsg
      let list = Attributes.first(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue), in: reader.rest)
      guard var rest = list?.payload else { continue }
      while let element = Attributes.first(Int(NFTA_LIST_ELEM.rawValue), in: rest) {
        // Of the catch-all there is no key.
        if let key = value(Int(NFTA_SET_ELEM_KEY.rawValue), in: element.payload) {
          var identity = Array(key)
          if let data = value(Int(NFTA_SET_ELEM_DATA.rawValue), in: element.payload) { identity += data }
          identities.insert(identity)
        }
        rest = rest[min((element.payload.endIndex + 3 - rest.startIndex) & ~3 + rest.startIndex, rest.endIndex)...]
      }
    }
    return identities
  }

  private static func value(_ type: Int, in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    Attributes.first(type, in: bytes).flatMap {
      Attributes.first(Int(NFTA_DATA_VALUE.rawValue), in: $0.payload)?.payload
    }
  }
}
