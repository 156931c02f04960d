public import SystemPackage

/// What every throwing call of this library throws: which rule was broken or which request failed, in one sentence
/// that says what to do, and the kernel's own report where it was the kernel that refused.
///
/// Ask it by ``is(_:)`` or branch on ``code``, within one `catch` without a pattern; print the error for a person. New codes
/// may come, so a `switch` needs a `default`.
public struct NetworkError: Error, Sendable, Hashable {
  /// What kind of failure this is; the part a program branches on.
  public var code: Code

  /// What was being done, as a short phrase: `create link "cn0"`, `attach "web" to "bridge"`.
  public var operation: String

  /// The value, the rule it breaks and what would be right; empty when the kernel's report says it all.
  public var reason: String

  /// What the kernel answered, when the kernel refused.
  public var kernel: KernelReport?

  /// The failures underneath: what a larger operation ran into, every fault of one configuration, or everything that
  /// an undo could not take back.
  public var causes: [NetworkError]

  /// Makes an error; `causes` are printed beneath it, indented.
  public init(
    _ code: Code, operation: String, reason: String = "", kernel: KernelReport? = nil, causes: [NetworkError] = []
  ) {
    self.code = code
    self.operation = operation
    self.reason = reason
    self.kernel = kernel
    self.causes = causes
  }

  /// What is wrong with one thing's parts: one fault as it is, several as causes beneath one error, whose code is theirs if
  /// they agree. There is at least one.
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
    /// Something of that name, or with that address, exists already (`EEXIST`).
    public static let alreadyExists = Code("alreadyExists")
    /// Nothing of that name, index, path or id exists (`ENOENT`, `ENODEV`, `ESRCH`).
    public static let notFound = Code("notFound")
    /// A name or id prefix matches several things; the reason lists them.
    public static let ambiguous = Code("ambiguous")
    /// It exists and is used by something else: an address, a port, a network with endpoints (`EBUSY`, `EADDRINUSE`).
    public static let inUse = Code("inUse")
    /// A pool, range or table is full (`ENOSPC`, `EXFULL`).
    public static let exhausted = Code("exhausted")
    /// The process lacks a privilege, usually `CAP_NET_ADMIN` or `CAP_SYS_ADMIN` (`EPERM`, `EACCES`).
    public static let permissionDenied = Code("permissionDenied")
    /// This kernel, or this build of it, lacks the feature (`EOPNOTSUPP`, `EPROTONOSUPPORT`, `EAFNOSUPPORT`).
    public static let unsupported = Code("unsupported")
    /// The object is predefined or not ours; the operation is refused.
    public static let refused = Code("refused")
    /// Bytes that should be a netlink message, or a DNS message, are not one.
    public static let malformedMessage = Code("malformedMessage")
    /// The kernel's answer was lost (`ENOBUFS`) or did not come in time; whether the change was made is not known.
    public static let replyLost = Code("replyLost")
    /// A dump kept changing underneath us (`NLM_F_DUMP_INTR`) on every try.
    public static let interrupted = Code("interrupted")
    /// A record of the store cannot be read.
    public static let damagedRecord = Code("damagedRecord")
    /// The object was closed or detached before this call.
    public static let closed = Code("closed")
    /// Any other refusal of the kernel; see ``NetworkError/kernel``.
    public static let kernelRefused = Code("kernelRefused")

    /// The code's name, as in `invalidValue`.
    public var description: String { name }

    /// The code that says what `errno` means to a caller. See `errno(3)`.
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

/// What the kernel said when it refused a request: the errno and, where the kernel gives one, its extended
/// acknowledgement (`NLMSGERR_ATTR_*` in `linux/netlink.h`).
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
