import CBenchmarkFloor
import ContainerNetworking
import FoundationEssentials
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

  /// That all processes in a host's namespace have used, with those that they started and waited for; to 10 ms for each
  /// (proc_pid_stat(5)).
  static func ofProcesses(in host: NetworkNamespace) -> Double {
    Holdings.processes(in: host).reduce(0) { sum, id in
      let text = (try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)) ?? ""
      // Behind the name, which may have spaces in it: utime, stime, cutime and cstime are fields 14 to 17.
      let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
      guard fields.count > 14 else { return sum }
      return sum + fields[11...14].reduce(0) { $0 + (Double($1) ?? 0) } * 1e6 / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
  }

  /// Bytes that the greatest of those programs had in memory at its most.
  static var peakOfPrograms: Double { Double(programs.ru_maxrss) * 1_024 }

  private static var programs: rusage {
    var usage = rusage()
    unsafe getrusage(RUSAGE_CHILDREN.rawValue, &usage)
    return usage
  }
}
