import CContainerNetworking
import NetworkPrimitives

/// The decision of a rule or a verdict map (`enum nft_verdicts`; accept and drop are netfilter's own).
public enum NftVerdict: Hashable, Sendable {
  /// Let the packet pass this base chain.
  case accept
  /// Discard it.
  case drop
  /// Run a chain, then return to the next rule.
  case jump(String)
  /// Run a chain and do not come back.
  case goto(String)
  /// Return to the chain that jumped here; in a base chain, apply its policy.
  case `return`
  /// The next rule.
  case `continue`

  /// Writes the attribute `type` that holds it in `NFTA_DATA_VERDICT`.
  func encode(into body: inout PayloadWriter, as type: Int) {
    let code: Int32
    var target: String?
    switch self {
    case .accept: code = 1
    case .drop: code = 0
    case .jump(let chain): (code, target) = (NFT_JUMP.rawValue, chain)
    case .goto(let chain): (code, target) = (NFT_GOTO.rawValue, chain)
    case .return: code = NFT_RETURN.rawValue
    case .continue: code = NFT_CONTINUE.rawValue
    }
    body.nested(type) { data in
      data.nested(NFTA_DATA_VERDICT) { verdict in
        verdict.attribute(NFTA_VERDICT_CODE, be32: UInt32(bitPattern: code))
        if let target { verdict.attribute(NFTA_VERDICT_CHAIN, string: target) }
      }
    }
  }

  /// Reads `NFTA_DATA_VERDICT`.
  init(_ attribute: Attribute) throws(NetworkError) {
    let attributes = try attribute.nested()
    guard let code = try attributes.be32(NFTA_VERDICT_CODE) else {
      throw NftMessage.malformed("verdict", "its code is missing")
    }
    switch Int32(bitPattern: code) {
    case 1: self = .accept
    case 0: self = .drop
    case NFT_JUMP.rawValue: self = .jump(try attributes.name(NFTA_VERDICT_CHAIN, of: "verdict"))
    case NFT_GOTO.rawValue: self = .goto(try attributes.name(NFTA_VERDICT_CHAIN, of: "verdict"))
    case NFT_RETURN.rawValue: self = .return
    case NFT_CONTINUE.rawValue: self = .continue
    case let other: throw NftMessage.malformed("verdict", "code \(other) is not known")
    }
  }

  /// Checks the chain's name.
  func check() throws(NetworkError) {
    switch self {
    case .jump(let chain), .goto(let chain): try NftMessage.check(name: chain, of: "chain")
    case .accept, .drop, .return, .continue: return
    }
  }
}
