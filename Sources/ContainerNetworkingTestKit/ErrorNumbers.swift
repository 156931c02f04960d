import SystemPackage

/// Linux's error numbers that have no portable name in ``Errno``, or a different one (`asm-generic/errno.h`).
extension Errno {
  static let noDevice = Errno(rawValue: 19)
  static let noSuchObject = Errno(rawValue: 3)
  static let rangeExceeded = Errno(rawValue: 34)
  static let tooManyLinks = Errno(rawValue: 40)
  static let exchangeFull = Errno(rawValue: 54)
  static let restart = Errno(rawValue: 85)
  static let familyNotSupported = Errno(rawValue: 97)
  static let addressAbsent = Errno(rawValue: 99)
  static let netDown = Errno(rawValue: 100)
  static let netUnreachable = Errno(rawValue: 101)
  static let noHostRoute = Errno(rawValue: 113)
}
