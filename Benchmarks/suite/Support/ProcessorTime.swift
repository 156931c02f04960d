import CBenchmarkFloor
import Glibc

/// Microseconds of processor time.
enum ProcessorTime {
  /// That this process has used.
  static var own: Double { Double(floor_processor_time()) / 1_000 }

  /// That programs have used which it started and waited for.
  static var ofPrograms: Double {
    let usage = programs
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
  }

  /// Bytes that the greatest of those programs had in memory at its most.
  static var peakOfPrograms: Double { Double(programs.ru_maxrss) * 1_024 }

  private static var programs: rusage {
    var usage = rusage()
    unsafe getrusage(RUSAGE_CHILDREN.rawValue, &usage)
    return usage
  }
}
