/// The type of a record (RFC 1035, section 3.2.2; the IANA registry "DNS Parameters").
public struct RecordType: RawRepresentable, Hashable, Sendable {
  /// The number in messages.
  public var rawValue: UInt16

  /// The type of this number; every number is valid (RFC 3597).
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// An IPv4 address (RFC 1035).
  public static let a = RecordType(rawValue: 1)
  /// A name server (RFC 1035).
  public static let ns = RecordType(rawValue: 2)
  /// The canonical name of an alias (RFC 1035).
  public static let cname = RecordType(rawValue: 5)
  /// The start of a zone of authority (RFC 1035).
  public static let soa = RecordType(rawValue: 6)
  /// A name to which an address points (RFC 1035).
  public static let ptr = RecordType(rawValue: 12)
  /// Machine and system (RFC 1035); the answer to a query for ``any`` (RFC 8482).
  public static let hinfo = RecordType(rawValue: 13)
  /// A mail exchange (RFC 1035).
  public static let mx = RecordType(rawValue: 15)
  /// Text (RFC 1035).
  public static let txt = RecordType(rawValue: 16)
  /// An IPv6 address (RFC 3596).
  public static let aaaa = RecordType(rawValue: 28)
  /// The location of a service (RFC 2782).
  public static let srv = RecordType(rawValue: 33)
  /// Rules that rewrite names (RFC 3403).
  public static let naptr = RecordType(rawValue: 35)
  /// A replacement of a whole subtree's name (RFC 6672).
  public static let dname = RecordType(rawValue: 39)
  /// The pseudo-record of EDNS (RFC 6891); see ``EDNS``.
  public static let opt = RecordType(rawValue: 41)
  /// The digest of a child zone's key (RFC 4034).
  public static let ds = RecordType(rawValue: 43)
  /// A signature (RFC 4034).
  public static let rrsig = RecordType(rawValue: 46)
  /// Proof that a name does not exist (RFC 4034).
  public static let nsec = RecordType(rawValue: 47)
  /// A zone's key (RFC 4034).
  public static let dnskey = RecordType(rawValue: 48)
  /// The access to a service (RFC 9460).
  public static let svcb = RecordType(rawValue: 64)
  /// The access to a web site (RFC 9460).
  public static let https = RecordType(rawValue: 65)
  /// A transaction's signature (RFC 8945).
  public static let tsig = RecordType(rawValue: 250)
  /// The changes of a zone (RFC 1995); in questions only.
  public static let ixfr = RecordType(rawValue: 251)
  /// A whole zone (RFC 5936); in questions only.
  public static let axfr = RecordType(rawValue: 252)
  /// Any type (RFC 1035, RFC 8482); in questions only.
  public static let any = RecordType(rawValue: 255)
  /// The permitted issuers of certificates (RFC 8659).
  public static let caa = RecordType(rawValue: 257)
}

extension RecordType: CustomStringConvertible {
  private static let names: [RecordType: String] = [
    .a: "A", .ns: "NS", .cname: "CNAME", .soa: "SOA", .ptr: "PTR", .hinfo: "HINFO", .mx: "MX", .txt: "TXT",
    .aaaa: "AAAA", .srv: "SRV", .naptr: "NAPTR", .dname: "DNAME", .opt: "OPT", .ds: "DS", .rrsig: "RRSIG",
    .nsec: "NSEC", .dnskey: "DNSKEY", .svcb: "SVCB", .https: "HTTPS", .tsig: "TSIG", .ixfr: "IXFR", .axfr: "AXFR",
    .any: "ANY", .caa: "CAA",
  ]

  /// The mnemonic, as in `AAAA`; `TYPE` and the number for an unknown type (RFC 3597, section 5).
  public var description: String { Self.names[self] ?? "TYPE\(rawValue)" }
}

/// The class of a record (RFC 1035, section 3.2.4): a tree of names. In practice only ``internet`` exists.
public struct RecordClass: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The number in messages.
  public var rawValue: UInt16

  /// The class of this number.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The Internet, `IN`.
  public static let internet = RecordClass(rawValue: 1)
  /// Chaosnet, `CH`; used to query a server about itself (RFC 4892).
  public static let chaos = RecordClass(rawValue: 3)
  /// Hesiod, `HS`.
  public static let hesiod = RecordClass(rawValue: 4)
  /// No class, in updates (RFC 2136).
  public static let none = RecordClass(rawValue: 254)
  /// Any class, `*`; in questions only.
  public static let any = RecordClass(rawValue: 255)

  /// The mnemonic, as in `IN`; `CLASS` and the number for an unknown class (RFC 3597, section 5).
  public var description: String {
    switch self {
    case .internet: "IN"
    case .chaos: "CH"
    case .hesiod: "HS"
    case .none: "NONE"
    case .any: "ANY"
    default: "CLASS\(rawValue)"
    }
  }
}
