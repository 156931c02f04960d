public import NetworkPrimitives

/// A question (RFC 1035, section 4.1.2).
public struct Question: Hashable, Sendable, CustomStringConvertible {
  /// The name; its case is returned unchanged (0x20).
  public var name: DomainName
  /// The type of the requested records.
  public var type: RecordType
  /// The class.
  public var recordClass: RecordClass

  /// A question, of the Internet unless another class is given.
  public init(_ name: DomainName, _ type: RecordType, class recordClass: RecordClass = .internet) {
    self.name = name
    self.type = type
    self.recordClass = recordClass
  }

  /// As `dig` prints it: `web IN AAAA`.
  public var description: String { "\(name) \(recordClass) \(type)" }
}

/// A record (RFC 1035, section 4.1.3).
public struct ResourceRecord: Hashable, Sendable {
  /// The owner of the record.
  public var name: DomainName
  /// The class.
  public var recordClass: RecordClass
  /// The maximum lifetime in caches, in seconds, at most 2³¹−1. Larger values are read as 0 (RFC 2181, section 8).
  public var timeToLive: UInt32
  /// The data.
  public var data: RecordData

  /// A record, of the Internet unless another class is given.
  public init(_ name: DomainName, class recordClass: RecordClass = .internet, timeToLive: UInt32, _ data: RecordData) {
    self.name = name
    self.recordClass = recordClass
    self.timeToLive = timeToLive
    self.data = data
  }

  /// The type of record.
  public var type: RecordType { data.type }
}

/// The data of a record. Types that the service does not use are kept unchanged (RFC 3597).
public enum RecordData: Hashable, Sendable {
  /// An IPv4 address.
  case a(IPv4Address)
  /// An IPv6 address.
  case aaaa(IPv6Address)
  /// A name server of the zone.
  case ns(DomainName)
  /// The name that this one is an alias of.
  case cname(DomainName)
  /// The target name, as of an address's reverse name.
  case ptr(DomainName)
  /// The start of a zone.
  case soa(StartOfAuthority)
  /// A host that receives mail; the lowest preference first.
  case mx(preference: UInt16, exchange: DomainName)
  /// Strings. One of more than 255 octets is written as several, an empty list as one empty string.
  case txt([[UInt8]])
  /// A host of a service; the lowest priority first, and in proportion to weight among equals (RFC 2782).
  case srv(priority: UInt16, weight: UInt16, port: UInt16, target: DomainName)
  /// Data of another type, and of classes other than the Internet with their own form of the type. Names in it are not
  /// compressed. A record of type OPT is not written: see ``EDNS``.
  case unknown(RecordType, [UInt8])

  /// The address's record, A or AAAA.
  ///
  /// - Parameter address: The address.
  public static func address(_ address: IPAddress) -> RecordData {
    switch address {
    case .v4(let address): .a(address)
    case .v6(let address): .aaaa(address)
    }
  }

  /// The type of record.
  public var type: RecordType {
    switch self {
    case .a: .a
    case .aaaa: .aaaa
    case .ns: .ns
    case .cname: .cname
    case .ptr: .ptr
    case .soa: .soa
    case .mx: .mx
    case .txt: .txt
    case .srv: .srv
    case .unknown(let type, _): type
    }
  }
}

/// The data of an SOA record (RFC 1035, section 3.3.13). Times are in seconds.
public struct StartOfAuthority: Hashable, Sendable {
  /// MNAME: the zone's first server.
  public var server: DomainName
  /// RNAME: the mailbox of the responsible person, whose first label is the part before the @.
  public var mailbox: DomainName
  /// The zone's version.
  public var serial: UInt32
  /// The interval in which a secondary server checks for a new version.
  public var refresh: UInt32
  /// After how long it tries again.
  public var retry: UInt32
  /// The time without an answer after which it gives up.
  public var expire: UInt32
  /// The lifetime of negative answers, bounded by the record's time to live (RFC 2308, section 5).
  public var minimum: UInt32

  /// Makes the data.
  public init(
    server: DomainName, mailbox: DomainName, serial: UInt32, refresh: UInt32, retry: UInt32, expire: UInt32,
    minimum: UInt32
  ) {
    self.server = server
    self.mailbox = mailbox
    self.serial = serial
    self.refresh = refresh
    self.retry = retry
    self.expire = expire
    self.minimum = minimum
  }
}
