public import SystemPackage

/// The error of every throwing call of this library: the broken rule or the failed request, and the remedy, in one
/// sentence. It includes the kernel's own report when the kernel refused.
///
/// Query it with ``is(_:)`` or branch on ``code``, within one `catch` without a pattern; print the error for a person.
/// New codes may come, so a `switch` needs a `default`.
public struct NetworkError: Error, Sendable, Hashable {
  /// The kind of failure; the part on which a program branches.
  public var code: Code

  /// The operation that failed, as a short phrase: `create link "cn0"`, `attach "web" to "bridge"`.
  public var operation: String

  /// The value, the rule it breaks and a right value; empty when the kernel's report says it all.
  public var reason: String

  /// What the kernel answered, when the kernel refused.
  public var kernel: KernelReport?

  /// The underlying failures: those of a larger operation, every fault of one configuration, or the steps that an undo
  /// could not reverse.
  public var causes: [NetworkError]

  /// The fields in which an object on record differs from the request; empty for every other failure.
  public var differences: [FieldDifference]

  /// Makes an error; `causes` are printed beneath it, indented.
  public init(
    _ code: Code, operation: String, reason: String = "", kernel: KernelReport? = nil, causes: [NetworkError] = [],
    differences: [FieldDifference] = []
  ) {
    self.code = code
    self.operation = operation
    self.reason = reason
    self.kernel = kernel
    self.causes = causes
    self.differences = differences
  }

  /// Combines the faults of one thing's parts; `faults` has at least one. A single fault is returned as it is. Several
  /// become causes of one error, which has their code if they agree.
  public init(faults: [NetworkError], operation: String) {
    guard faults.count != 1 else {
      self = faults[0]
      return
    }
    let codes = Set(faults.map(\.code))
    self.init(
      codes.count == 1 ? faults[0].code : .invalidValue, operation: operation,
      reason: "there are \(faults.count) faults",
      causes: faults)
  }

  /// The kind of a ``NetworkError``. A struct, so that later versions can add to it.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    private let name: String

    private init(_ name: String) { self.name = name }

    /// A value is malformed or outside its range. Nothing was changed.
    public static let invalidValue = Code("invalidValue")
    /// Each value is fine alone, but not together: static IP on host mode, for example. Nothing was changed.
    public static let conflictingOptions = Code("conflictingOptions")
    /// An object of that name, or with that address, exists already (`EEXIST`).
    public static let alreadyExists = Code("alreadyExists")
    /// No object of that name, index, path or id exists (`ENOENT`, `ENODEV`, `ESRCH`).
    public static let notFound = Code("notFound")
    /// A name or id prefix matches several things; the reason lists them.
    public static let ambiguous = Code("ambiguous")
    /// The object exists and is in use: an address, a port, a network with endpoints (`EBUSY`, `EADDRINUSE`).
    public static let inUse = Code("inUse")
    /// A pool, range or table is full (`ENOSPC`, `EXFULL`).
    public static let exhausted = Code("exhausted")
    /// The process lacks a privilege, usually `CAP_NET_ADMIN` or `CAP_SYS_ADMIN` (`EPERM`, `EACCES`).
    public static let permissionDenied = Code("permissionDenied")
    /// This kernel, or this build of it, lacks the feature (`EOPNOTSUPP`, `EPROTONOSUPPORT`, `EAFNOSUPPORT`).
    public static let unsupported = Code("unsupported")
    /// The object is predefined or not ours; the operation is refused.
    public static let refused = Code("refused")
    /// Bytes that are not the netlink or DNS message that they should be.
    public static let malformedMessage = Code("malformedMessage")
    /// The kernel's answer was lost (`ENOBUFS`) or did not come in time; the change may or may not have been made.
    public static let replyLost = Code("replyLost")
    /// A dump was inconsistent (`NLM_F_DUMP_INTR`) on every try, because its objects kept changing.
    public static let interrupted = Code("interrupted")
    /// A record of the store cannot be read.
    public static let damagedRecord = Code("damagedRecord")
    /// The object was closed or detached before this call.
    public static let closed = Code("closed")
    /// Any other refusal of the kernel; see ``NetworkError/kernel``.
    public static let kernelRefused = Code("kernelRefused")

    /// The code's name, as in `invalidValue`.
    public var description: String { name }

    /// The code for an `errno`. See `errno(3)`.
    public init(_ errno: Errno) {
      switch errno.rawValue {
      case 1, 13: self = .permissionDenied
      case 2, 3, 6, 19: self = .notFound
      case 17: self = .alreadyExists
      case 16, 98: self = .inUse
      case 28, 54: self = .exhausted
      case 93, 94, 95, 96, 97: self = .unsupported
      case 105, 110: self = .replyLost
      default: self = .kernelRefused
      }
    }
  }
}

/// The kernel's refusal of a request: the errno and, where the kernel gives one, its extended acknowledgement
/// (`NLMSGERR_ATTR_*` in `linux/netlink.h`).
public struct KernelReport: Hashable, Sendable {
  /// The error number, positive.
  public var errno: Errno

  /// The request, by the kernel's name for it: `RTM_NEWLINK`, `NFT_MSG_NEWRULE`, `setns`.
  public var request: String

  /// The kernel's own sentence (`NLMSGERR_ATTR_MSG`), when it gave one.
  public var message: String?

  /// Where in the request the offending attribute starts, in bytes (`NLMSGERR_ATTR_OFFS`).
  public var offset: Int?

  /// The type of an attribute that the kernel missed (`NLMSGERR_ATTR_MISS_TYPE`).
  public var missingAttribute: Int?

  /// Makes a report.
  public init(
    errno: Errno, request: String, message: String? = nil, offset: Int? = nil, missingAttribute: Int? = nil
  ) {
    self.errno = errno
    self.request = request
    self.message = message
    self.offset = offset
    self.missingAttribute = missingAttribute
  }
}

extension KernelReport: CustomStringConvertible {
  /// One line: `RTM_NEWLINK: File exists (errno 17): "…"`.
  public var description: String {
    var text = "\(request): \(errno.description) (errno \(errno.rawValue))"
    if let message { text += ": \"\(message)\"" }
    if let missingAttribute { text += ", attribute \(missingAttribute) is missing" }
    if let offset { text += ", at byte \(offset) of the request" }
    return text
  }
}

extension NetworkError: CustomStringConvertible {
  /// One line for this error, then one indented line for each cause.
  public var description: String { lines(indent: "").joined(separator: "\n") }

  private func lines(indent: String) -> [String] {
    var first = "\(indent)\(operation): "
    switch (reason.isEmpty, kernel) {
    case (true, let kernel?): first += kernel.description
    case (false, var kernel?):
      // The kernel's own sentence comes first.
      if let message = kernel.message { first += "\(message); " }
      kernel.message = nil
      first += "\(reason) [\(kernel)]"
    case (true, nil): first += code.description
    case (false, nil): first += reason
    }
    return [first] + causes.flatMap { $0.lines(indent: indent + "  ") }
  }
}
