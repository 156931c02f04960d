/// The result of a query (RFC 1035, section 4.1.1): 4 bits of the header, and with EDNS 8 more above them (RFC 6891,
/// section 6.1.3).
public struct ResponseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The number, at most 4095; higher bits are not written.
  public var rawValue: UInt16

  /// The code of this number.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// No error; without answers: the name exists, but without records of the type (NODATA, RFC 2308).
  public static let noError = ResponseCode(rawValue: 0)
  /// The query is malformed.
  public static let formatError = ResponseCode(rawValue: 1)
  /// The server could not find out.
  public static let serverFailure = ResponseCode(rawValue: 2)
  /// The name does not exist with any type, nor any name below it (NXDOMAIN; RFC 8020).
  public static let nameError = ResponseCode(rawValue: 3)
  /// The server does not support this kind of query.
  public static let notImplemented = ResponseCode(rawValue: 4)
  /// The server will not answer this.
  public static let refused = ResponseCode(rawValue: 5)
  /// The EDNS version is unknown here (RFC 6891, section 6.1.3).
  public static let badVersion = ResponseCode(rawValue: 16)

  /// The mnemonic, as in `NXDOMAIN`; `RCODE` and the number for an unknown code.
  public var description: String {
    switch self {
    case .noError: "NOERROR"
    case .formatError: "FORMERR"
    case .serverFailure: "SERVFAIL"
    case .nameError: "NXDOMAIN"
    case .notImplemented: "NOTIMP"
    case .refused: "REFUSED"
    case .badVersion: "BADVERS"
    default: "RCODE\(rawValue)"
    }
  }
}

/// The kind of message (RFC 1035, section 4.1.1): 4 bits.
public struct Opcode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The number, at most 15; higher bits are not written.
  public var rawValue: UInt8

  /// The code of this number.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A question and its answer.
  public static let query = Opcode(rawValue: 0)
  /// A query of a server's status (RFC 1035); never specified.
  public static let status = Opcode(rawValue: 2)
  /// A zone has changed (RFC 1996).
  public static let notify = Opcode(rawValue: 4)
  /// Changes to a zone (RFC 2136).
  public static let update = Opcode(rawValue: 5)

  /// The mnemonic, as in `QUERY`; `OPCODE` and the number for an unknown code.
  public var description: String {
    switch self {
    case .query: "QUERY"
    case .status: "STATUS"
    case .notify: "NOTIFY"
    case .update: "UPDATE"
    default: "OPCODE\(rawValue)"
    }
  }
}
