import ContainerNetworking
import Glibc
import SystemPackage

/// The time of a file's last write (stat(2)); nil for a missing file.
func fileTime(_ path: FilePath) -> Timestamp? {
  var status = stat()
  guard unsafe path.withPlatformString({ unsafe stat($0, &status) }) == 0 else { return nil }
  return Timestamp(nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
}
