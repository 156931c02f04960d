import ContainerNetworking
import Glibc
import SystemPackage

/// When a file was last written (stat(2)); nil for one that is not there.
func fileTime(_ path: FilePath) -> Timestamp? {
  var status = stat()
  guard unsafe path.withPlatformString({ unsafe stat($0, &status) }) == 0 else { return nil }
  return Timestamp(nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
}
