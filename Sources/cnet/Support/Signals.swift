import Dispatch
import Glibc
import Synchronization

/// Signals for the command that `run` started. They are blocked in every thread, and one thread waits for them: no
/// handler runs, so that no call is interrupted.
///
/// The unsafe code of the tool is here: signal sets are C structures.
enum Signals {
  /// The signals by which terminals and service managers end a program.
  private static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

  /// Blocks them; must precede the first thread.
  static func blockForwarded() {
    var set = self.set
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// A pending signal; nil for none.
  static var pending: Int32? {
    var waiting = sigset_t()
    unsafe sigpending(&waiting)
    return forwarded.first { number in unsafe sigismember(&waiting, number) == 1 }
  }

  /// Forwards this process's signals to a program, until it has ended.
  ///
  /// A terminal's keys send signals to the whole process group (termios(3), ISIG), the program included, so those are
  /// not forwarded. The hang-up of a terminal goes to the leader of the session alone, which may be this process.
  static func forward(to program: Int32, isOver: SharedFlag) {
    DispatchQueue(label: "cnet.signals").async {
      while true {
        var set = Self.set
        var info = unsafe siginfo_t()
        let number = unsafe sigwaitinfo(&set, &info)
        guard number > 0, !isOver.isSet else { continue }
        let isFromKeys = unsafe info.si_code == kernelCode && number != SIGHUP
        if !isFromKeys { kill(program, number) }
      }
    }
  }

  /// `SI_KERNEL`, asm-generic/siginfo.h: sent by the kernel, as a terminal's are.
  private static let kernelCode: Int32 = 0x80

  private static var set: sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in forwarded { unsafe sigaddset(&set, number) }
    return set
  }
}

/// A flag shared by threads; it is set once.
final class SharedFlag: Sendable {
  private let flag = Atomic(false)
  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}
