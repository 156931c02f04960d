import CContainerNetworking
import NetworkPrimitives

/// A comment as nft(8) keeps it in an object's user data, and shows it: a record of type 0 (`NFTNL_UDATA_*_COMMENT`, of tables,
/// rules and elements alike), its length, the text and a NUL.
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

  /// The comment in user data, which is records of type, length and bytes; nil for none.
  static func text(in userData: ArraySlice<UInt8>) -> String? {
    var rest = userData
    while let type = rest.popFirst(), let length = rest.popFirst(), Int(length) <= rest.count {
      if type == 0 { return String(decoding: rest.prefix(Int(length)).prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(Int(length))
    }
    return nil
  }
}
