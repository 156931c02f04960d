import Netlink
import NetworkPrimitives

/// Identifies a rule of ours by its content: the chain, its interfaces and sets, and its action.
/// `forward: iif internal_bridges drop`.
struct RuleKey: Hashable, CustomStringConvertible {
  var chain: String
  var words: [String]

  var description: String { "\(chain): \(words.joined(separator: " "))" }

  /// The key of a rule in the kernel.
  init(_ rule: NftRuleRecord) {
    chain = rule.chain.name
    words = []
    for expression in rule.expressions {
      guard let word = Self.word(expression) else { continue }
      words.append(word)
    }
  }

  /// Names from `enum nft_meta_keys`, `nft_ct_keys` and the attributes of `nft_lookup`, `nft_immediate` and `nft_data`
  /// of `linux/netfilter/nf_tables.h`, all of them stable.
  private static func word(_ expression: NftRuleRecord.Expression) -> String? {
    let attributes = expression.attributes
    let number = { (type: Int) in (try? attributes[type: type]?.bigEndian(UInt32.self)) ?? 0 }
    switch expression.name {
    case "meta": return [4: "iif", 6: "iif", 7: "oif"][number(2)]
    case "payload": return number(2) == 2 && number(3) == 0 && number(4) == 1 ? "icmptype" : nil
    case "ct": return [0: "state", 2: "status"][number(2)]
    case "lookup":
      guard let set = attributes[type: 1]?.string else { return nil }
      return number(5) & 1 == 1 ? "!\(set)" : set
    case "nat": return number(1) == 0 ? "snat" : "dnat"
    case "masq": return "masquerade"
    case "reject": return "reject"
    case "immediate":
      guard let data = try? attributes[type: 2]?.nested(), let verdict = data[type: 2],
        let code = try? verdict.nested()[type: 1]?.bigEndian(UInt32.self)
      else { return nil }
      switch Int32(bitPattern: code) {
      case 0: return "drop"
      case 1: return "accept"
      case -3: return "jump"
      case -4: return "goto"
      case -5: return "return"
      default: return nil
      }
    default: return nil
    }
  }
}
