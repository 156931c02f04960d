import CContainerNetworking
package import NetworkPrimitives

/// Identities of elements, for comparing thousands: the kernel's bytes of key and value, concatenated.
extension NftSet {
  /// Bytes of a key.
  package var keySize: Int { key.size }
}

extension NftElement {
  /// The identity of an element without a range or a timeout, in a set or a map of values.
  package var identity: [UInt8] {
    guard case .value(let value) = data else { return key.encoded }
    return key.encoded + value.encoded
  }

  /// The key alone.
  package var keyBytes: [UInt8] { key.encoded }

  /// An element of a dump in the kernel's own bytes.
  package struct Found: Hashable, Sendable {
    /// Key and value, as ``NftElement/identity``.
    package var identity: [UInt8]
    /// The length of the key in ``identity``, bytes.
    package var keyLength: Int
    /// The comment of the element.
    package var comment: String?
    /// All of its attributes.
    fileprivate var bytes: ArraySlice<UInt8>

    /// The key alone.
    package var key: ArraySlice<UInt8> { identity.prefix(keyLength) }

    /// A key of four bytes as a number in the host's byte order; nil for any other.
    package var number: UInt32? { keyLength == 4 ? UInt32(hostBytes: key) : nil }

    /// The element, ready to be added again.
    ///
    /// - Throws: `.malformedMessage` for an element that does not fit the set.
    package func element(of set: NftSet) throws(NetworkError) -> NftElement {
      let (key, length) = (self.key, set.key.size)
      guard key.count == length else {
        throw NftMessage.malformed("element", "a key of \(key.count) bytes where the set has \(length)")
      }
      return try NftElement(Attributes(bytes), key: key, of: set)
    }
  }

  /// The elements in the messages of a dump.
  ///
  /// - Throws: `.malformedMessage`.
  package static func found(_ messages: [NetlinkMessage]) throws(NetworkError) -> [Found] {
    var found: [Found] = []
    // Of thousands of comments, few differ.
    var last: (bytes: ArraySlice<UInt8>, text: String?)?
    for message in messages {
      var reader = PayloadReader(message.payload)
      try reader.skip(4)  // struct nfgenmsg
      let list = Attributes.first(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue), in: reader.rest)
      guard var rest = list?.payload else { continue }
      while let element = Attributes.first(Int(NFTA_LIST_ELEM.rawValue), in: rest) {
        let bytes = element.payload
        // The catch-all element has no key.
        if let key = value(Int(NFTA_SET_ELEM_KEY.rawValue), in: bytes) {
          var identity = Array(key)
          if let data = value(Int(NFTA_SET_ELEM_DATA.rawValue), in: bytes) { identity += data }
          let userData = Attributes.first(Int(NFTA_SET_ELEM_USERDATA.rawValue), in: bytes)?.payload
          if let userData, last.map({ $0.bytes.elementsEqual(userData) }) != true {
            last = (userData, NftComment.text(in: userData))
          }
          found.append(
            Found(
              identity: identity, keyLength: key.count, comment: userData == nil ? nil : last?.text, bytes: bytes))
        }
        rest = rest[min((bytes.endIndex + 3 - rest.startIndex) & ~3 + rest.startIndex, rest.endIndex)...]
      }
    }
    return found
  }

  private static func value(_ type: Int, in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    Attributes.first(type, in: bytes).flatMap {
      Attributes.first(Int(NFTA_DATA_VALUE.rawValue), in: $0.payload)?.payload
    }
  }
}
