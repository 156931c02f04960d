import NetworkPrimitives
import SystemPackage

/// The remedy for an errno that is not self-explanatory. The same number has different meanings for different calls. If
/// the call does not decide the meaning, the text is empty; if the kernel gives a sentence, that stands alone.
package enum Remedy {
  /// For system calls; some need `CAP_SYS_ADMIN`, others the owner's rights to a file.
  package static let privilege = "it needs the rights of root in the namespace: run as root, or under unshare -Urn"

  /// The remedy for a refused netlink request.
  static func text(for report: KernelReport) -> String {
    switch report.errno.rawValue {
    case 13:  // EACCES
      "IPv6 is switched off on the link: set its sysctl net/ipv6/conf/LINK/disable_ipv6 to 0, or do without IPv6"
    case 1 where report.message == nil:  // EPERM
      "it needs CAP_NET_ADMIN in the namespace: run as root, or under unshare -Urn"
    case 54 where report.request.hasSuffix("LINK"):  // EXFULL, find_portno in net/bridge/br_if.c
      "a Linux bridge takes at most 1023 ports"
    default: ""
    }
  }

  /// The remedy for a failed system call.
  static func text(for errno: Errno, of call: String) -> String {
    switch (call, errno.rawValue) {
    case ("unshare", 28): "the limit user.max_net_namespaces is reached; raise it"
    case ("mount", 28): "the limit fs.mount-max is reached; raise it, or unmount some"
    case ("clone", 11): "the limit of processes is reached; raise pids.max or ulimit -u"
    case (_, 23): "the limit of open files of the machine is reached; raise fs.file-max"
    case (_, 24): "the limit of open files of this process is reached; raise it (ulimit -n)"
    case (_, 30): "it is on a file system that is read-only; mount it for writing"
    default: ""
    }
  }
}
