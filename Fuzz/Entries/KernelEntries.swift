import ContainerNetworking
import ContainerNetworkingTestKit

/// Datagrams to sockets of the simulated kernel, as a broken client would send them.
enum KernelEntries {
  static func datagram(_ bytes: [UInt8], _ family: NetlinkFamily) throws(Violation) {
    let kernel = SimulatedKernel()
    let (script, socket) = try Violation.ifRefused("the kernel is unusable from the start") {
      () throws(NetworkError) in
      let script = try Script(kernel)
      try script.make()
      return (script, try kernel.openSocket(family, in: script.host))
    }
    let parsed = try Violation.unlessMalformed { () throws(NetworkError) in try NetlinkMessage.parse(bytes[...]) }
    let sent: Void? = try Violation.unlessMalformed { () throws(NetworkError) in try socket.send(bytes) }
    try Violation.unless((sent == nil) == (parsed == nil), "what is no datagram is sent, or what is one is not")
    try checkAnswers(of: socket, to: parsed ?? [])
    try Violation.ifRefused("the kernel cannot be read any more") { () throws(NetworkError) in
      try script.readAll()
    }
    _ = kernel.snapshot()
  }

  /// Every answer is a message to one of the requests, and none is answered with two errors.
  private static func checkAnswers(
    of socket: any NetlinkSocket, to requests: [NetlinkMessage]
  ) throws(Violation) {
    let sequences = Set(requests.map(\.sequence))
    var errors: [UInt32: Int] = [:]
    while let datagram = try? socket.receive() {
      guard let messages = try? NetlinkMessage.parse(datagram[...]) else {
        throw Violation("an answer cannot be read")
      }
      for message in messages {
        try Violation.unless(sequences.contains(message.sequence), "an answer to nothing that was asked")
        try Violation.unless(message.portID == socket.portID, "an answer for another socket")
        if message.type == ControlMessage.error { errors[message.sequence, default: 0] += 1 }
      }
    }
    for (sequence, count) in errors {
      let asked = requests.filter { $0.sequence == sequence }.count
      try Violation.unless(count <= asked, "\(count) acknowledgements of \(asked) requests")
    }
  }
}
