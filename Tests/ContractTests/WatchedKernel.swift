import ContainerNetworking
import Foundation
import Synchronization
import SystemPackage

/// A kernel that tells whether the socket that was opened last is still alive, and how its reader's thread is called.
final class WatchedKernel: Kernel {
  private let kernel: any Kernel
  private let watched = Mutex<Watched>(Watched())

  private struct Watched {
    var isOn = false
    weak var socket: (any NetlinkSocket)?
    var portID: UInt32?
  }

  init(_ kernel: any Kernel) { self.kernel = kernel }

  /// Watches the next socket.
  func watch() { watched.withLock { $0.isOn = true } }

  var isSocketAlive: Bool { watched.withLock { $0.socket != nil } }

  var threadName: String? { watched.withLock { $0.portID }.map { "cn-ev-" + String($0, radix: 16) } }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    let socket = try kernel.openSocket(family, in: namespace)
    watched.withLock { watched in
      guard watched.isOn else { return }
      watched = Watched(isOn: false, socket: socket, portID: socket.portID)
    }
    return socket
  }

  func currentNamespace() throws(NetworkError) -> NamespaceHandle { try kernel.currentNamespace() }
  func makeNamespace() throws(NetworkError) -> NamespaceHandle { try kernel.makeNamespace() }
  func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle { try kernel.openNamespace(at: path) }
  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    try kernel.pinNamespace(namespace, at: path)
  }
  func unpinNamespace(at path: FilePath) throws(NetworkError) { try kernel.unpinNamespace(at: path) }
  func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    try kernel.pinnedNamespaces(in: directory)
  }
  func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    try kernel.readSysctl(name, in: namespace)
  }
  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    try kernel.writeSysctl(name, to: value, in: namespace)
  }
  func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    try kernel.heldPorts(among: bindings, in: namespace)
  }
  func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    try kernel.reservePorts(bindings, in: namespace)
  }
  func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try kernel.spawn(command, in: namespace)
  }
}

enum ProcessThreads {
  /// The names of this process's threads.
  static func names() throws -> [String] {
    let directory = "/proc/self/task"
    // A thread may end between the listing and the look.
    return try FileManager.default.contentsOfDirectory(atPath: directory).compactMap { id in
      try? String(contentsOfFile: "\(directory)/\(id)/comm", encoding: .utf8).trimmingCharacters(in: .newlines)
    }
  }
}
