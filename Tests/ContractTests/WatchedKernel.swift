import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Synchronization
import SystemPackage

/// A kernel that reports whether its last opened socket is still alive, and the name of its reader's thread.
final class WatchedKernel: ForwardingKernel {
  let base: any Kernel
  private let watched = Mutex<Watched>(Watched())

  private struct Watched {
    var isOn = false
    weak var socket: (any NetlinkSocket)?
    var portID: UInt32?
  }

  init(_ base: any Kernel) { self.base = base }

  /// Watches the next socket.
  func watch() { watched.withLock { $0.isOn = true } }

  var isSocketAlive: Bool { watched.withLock { $0.socket != nil } }

  var threadName: String? { watched.withLock { $0.portID }.map { "cn-ev-" + String($0, radix: 16) } }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    let socket = try base.openSocket(family, in: namespace)
    watched.withLock { watched in
      guard watched.isOn else { return }
      watched = Watched(isOn: false, socket: socket, portID: socket.portID)
    }
    return socket
  }
}

enum ProcessThreads {
  /// The names of this process's threads.
  static func names() throws -> [String] {
    let directory = "/proc/self/task"
    // A thread may end between the listing and the read.
    return try FileManager.default.contentsOfDirectory(atPath: directory).compactMap { id in
      try? String(contentsOfFile: "\(directory)/\(id)/comm", encoding: .utf8).trimmingCharacters(in: .newlines)
    }
  }
}
