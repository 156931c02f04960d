import CContainerNetworking
import NetworkPrimitives

/// A comment in the form in which nft(8) stores it in an object's user data: a record of type 0, its length, the text
/// and a NUL. The type is the same for tables, rules and elements (`NFTNL_UDATA_*_COMMENT`).
enum NftComment {
  /// The user data.
  ///
  /// - Throws: `.invalidValue` for more than 127 bytes, and for a NUL.
  static func userData(_ text: String, of what: String) throws(NetworkError) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard bytes.count < 128, !bytes.contains(0) else {
      throw NetworkError(
        .invalidValue, operation: "encode nftables \(what)",
        reason: "a comment of \(bytes.count) bytes; up to 127 without NUL are possible")
    }
    return [0, UInt8(bytes.count + 1)] + bytes + [0]
  }

  /// The comment in user data, which consists of records of type, length and bytes; nil for none.
  static func text(in userData: ArraySlice<UInt8>) -> String? {
    var rest = userData
    while let type = rest.popFirst(), let length = rest.popFirst(), Int(length) <= rest.count {
      if type == 0 { return String(decoding: rest.prefix(Int(length)).prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(Int(length))
    }
    return nil
  }
}
