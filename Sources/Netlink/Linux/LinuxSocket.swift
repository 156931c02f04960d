import CContainerNetworking
import Dispatch
import Glibc
import NetworkPrimitives
import Synchronization
import SystemPackage

/// A netlink socket of the kernel, opened and configured by libmnl.
///
/// `@unchecked Sendable`: the socket never changes and the kernel serialises calls on it. `wake` is made by the first
/// `join(group:)`, before the socket is handed to the reader of events.
@safe final class LinuxSocket: NetlinkSocket, @unchecked Sendable {
  private let socket: OpaquePointer
  private var wake: Int32 = -1

  init(_ family: NetlinkFamily, namespace: Int32, timeout: Int32) throws(NetworkError) {
    var opened: OpaquePointer?
    let operation = family == .route ? "open route netlink socket" : "open netfilter netlink socket"
    try check(unsafe cn_socket_open(namespace, family.rawValue, timeout, &opened), "socket", operation)
    guard let opened = unsafe opened else {
      throw systemError(Errno.ioError, "socket", operation)
    }
    unsafe socket = opened
    unsafe cn_socket_set_buffers(opened, 8 << 20)
  }

  deinit {
    unsafe cn_socket_close(socket)
    if wake >= 0 { close(wake) }
  }

  /// 0 before Linux 5.14.
  var namespaceCookie: UInt64 { unsafe cn_socket_namespace_cookie(socket) }

  var portID: UInt32 { unsafe cn_socket_port_id(socket) }

  func send(_ datagram: [UInt8]) throws(NetworkError) {
    try check(unsafe cn_socket_send(socket, datagram, datagram.count), "sendto", "send netlink request")
  }

  /// Threads for sends that may block long; when all are in use, the caller itself blocks.
  private static let asides = Mutex((0..<16).map { DispatchQueue(label: "Netlink.aside.\($0)") })

  func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void) {
    let work: @Sendable () -> Void = { [self] in
      do throws(NetworkError) {
        try send(datagram)
        whenDone(nil)
      } catch { whenDone(error) }
    }
    guard let queue = Self.asides.withLock({ $0.popLast() }) else { return work() }
    queue.async {
      work()
      Self.asides.withLock { $0.append(queue) }
    }
  }

  func receive() throws(NetworkError) -> [UInt8] {
    let buffer = ReceiveBuffer.take()
    defer { buffer.giveBack() }
    let count = unsafe cn_socket_receive(socket, buffer.start, ReceiveBuffer.size)
    // A receive past SO_RCVTIMEO returns EAGAIN.
    if count == -Int(EAGAIN) { throw systemError(Errno.timedOut, "recvmsg", "wait for the kernel's answer") }
    try check(count, "recvmsg", "receive netlink reply")
    return buffer.copy(count)
  }

  func join(group: Int32) throws(NetworkError) {
    let operation = "join netlink group \(group)"
    if wake < 0 { wake = try check(cn_eventfd(), "eventfd", operation) }
    try check(unsafe cn_socket_join(socket, group), "setsockopt", operation)
  }

  func nextEvent() throws(NetworkError) -> [UInt8]? {
    guard try check(unsafe cn_socket_wait(socket, wake), "poll", "wait for netlink events") == 1 else { return nil }
    return try receive()
  }

  func takeEvent() throws(NetworkError) -> [UInt8]? {
    let buffer = ReceiveBuffer.take()
    defer { buffer.giveBack() }
    let count = unsafe cn_socket_take(socket, buffer.start, ReceiveBuffer.size)
    if count == -Int(EAGAIN) { return nil }
    try check(count, "recvmsg", "receive netlink events")
    return buffer.copy(count)
  }

  func drain() throws(NetworkError) {
    try check(unsafe cn_socket_drain(socket), "recvmsg", "drop netlink events")
  }

  func interrupt() { if wake >= 0 { cn_eventfd_signal(wake) } }
}

/// A receive buffer, borrowed for one receive. With a socket for each of a thousand containers, a buffer per socket
/// would pin every page that it ever touched.
///
/// `@unchecked Sendable`: its borrower uses it alone. Unsafe code: allocated and freed with this object, and read up to
/// the received length.
@safe private final class ReceiveBuffer: @unchecked Sendable {
  /// Dumps come in datagrams of up to 32 KiB (`NLMSG_GOODSIZE` grows to the reader's buffer); a batch of errors may
  /// need more.
  static let size = 128 << 10
  private static let spares = Mutex<[ReceiveBuffer]>([])
  /// Usually the number of threads that receive at once.
  private static let spareLimit = 4

  @unsafe let start = UnsafeMutableRawPointer.allocate(byteCount: ReceiveBuffer.size, alignment: 16)

  deinit { unsafe start.deallocate() }

  static func take() -> ReceiveBuffer { spares.withLock { $0.popLast() } ?? ReceiveBuffer() }

  func giveBack() {
    Self.spares.withLock { spares in if spares.count < Self.spareLimit { spares.append(self) } }
  }

  func copy(_ count: Int) -> [UInt8] { unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count)) }
}
